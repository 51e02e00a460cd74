"""Where settings were published: said at the field, shown in the reference of settings."""

from __future__ import annotations

from dataclasses import dataclass

PAPERS = {
    "SORT": "Bewley et al., Simple Online and Realtime Tracking, ICIP 2016",
    "DeepSORT": "Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric, ICIP 2017",
    "ByteTrack": "Zhang et al., ByteTrack, Multi-Object Tracking by Associating Every Detection Box, ECCV 2022",
    "BoT-SORT": "Aharon et al., BoT-SORT, Robust Associations Multi-Pedestrian Tracking, arXiv 2206.14651",
    "OC-SORT": "Cao et al., Observation-Centric SORT, Rethinking SORT for Robust Multi-Object Tracking, CVPR 2023",
    "Deep OC-SORT": "Maggiolino et al., Deep OC-SORT, Tracking by Adaptive Re-Identification, ICIP 2023",
    "StrongSORT": "Du et al., StrongSORT, Make DeepSORT Great Again, IEEE Transactions on Multimedia 2023",
    "C-BIoU": "Yang et al., Hard to Track Objects with Irregular Motions and Similar Appearances?, WACV 2023",
    "Hybrid-SORT": "Yang et al., Hybrid-SORT, Weak Cues Matter for Online Multi-Object Tracking, AAAI 2024",
    "BoostTrack": "Stanojevic and Todorovic, BoostTrack, Machine Vision and Applications 2024",
    "TrackTrack": "Shim et al., Focusing on Tracks for Online Multi-Object Tracking, CVPR 2025",
    "GIAOTracker": "Du et al., GIAOTracker, ICCV Workshops 2021",
    "GIoU": "Rezatofighi et al., Generalized Intersection over Union, CVPR 2019",
    "DIoU": "Zheng et al., Distance-IoU Loss, AAAI 2020",
    "Mehra": "Mehra, On the Identification of Variances and Adaptive Kalman Filtering, IEEE Transactions on Automatic "
    "Control 1970",
    "Boyer-Moore": "Boyer and Moore, MJRTY, A Fast Majority Vote Algorithm, 1981",
}


@dataclass(frozen=True)
class From:
    """Metadata of a field: the paper that its setting, or what it switches on, is from.

    Attributes:
        paper: a name in `PAPERS`.
        where: the place in it; "" where it is in the authors' code, or in no one place.
    """

    paper: str
    where: str = ""

    def __post_init__(self) -> None:
        if self.paper not in PAPERS:
            raise ValueError(f"{self.paper} is none of {', '.join(PAPERS)}")

    def __str__(self) -> str:
        return f"{self.paper}, {self.where}" if self.where else self.paper
