"""An RTSP camera on the loopback address, for tests; needs GStreamer, run it with the system's Python.

    /usr/bin/python3 rtsp_server.py FRAMES WIDTH HEIGHT RATE EPOCH [PORT [wait]]

FRAMES holds raw I420 pictures, played again and again in real time: what is shown depends on the clock alone (EPOCH is
the unix time of the first picture), so that cameras of one EPOCH, and one that died and came back, show one scene.
With `wait` it is made ready, and opens its port when it is told `go`. It prints its port, and obeys lines on its input:
`freeze`, `thaw`, `die`. It dies with its input.
"""

import mmap
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( appsrc name=pictures is-live=true format=time do-timestamp=false block=false max-bytes=4000000 "
    "caps=video/x-raw,format=I420,width={width},height={height},framerate={rate}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={interval} bitrate=4000 threads=1 "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


class Camera(GstRtspServer.RTSPMediaFactory):
    """One shared stream of the pictures."""

    def __init__(self, path, width, height, rate, epoch):
        super().__init__()
        with open(path, "rb") as file:
            self.file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size, self.rate, self.epoch = width * height * 3 // 2, rate, epoch
        self.count = len(self.file) // self.size
        self.frozen = None
        self.set_shared(True)
        self.set_launch(PIPELINE.format(width=width, height=height, rate=rate, interval=rate))
        self.connect("media-configure", self.configure)

    def configure(self, _, media):
        source = media.get_element().get_by_name("pictures")
        stop = threading.Event()
        media.connect("unprepared", lambda _: stop.set())
        threading.Thread(target=self.play, args=(source, stop), daemon=True).start()

    def play(self, source, stop):
        began = int((time.time() - self.epoch) * self.rate)
        number = began
        while not stop.is_set():
            time.sleep(max(self.epoch + number / self.rate - time.time(), 0))
            shown = (number if self.frozen is None else self.frozen) % self.count
            buffer = Gst.Buffer.new_wrapped(self.file[shown * self.size : (shown + 1) * self.size])
            buffer.pts = (number - began) * Gst.SECOND // self.rate
            buffer.duration = Gst.SECOND // self.rate
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                break
            number += 1

    def obey(self, loop):
        for line in sys.stdin:
            word = line.strip()
            if word == "freeze":
                self.frozen = int((time.time() - self.epoch) * self.rate)
            elif word == "thaw":
                self.frozen = None
            elif word == "die":
                break
        GLib.idle_add(loop.quit)


def main():
    path, width, height, rate, epoch = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[6] if len(sys.argv) > 6 else "0")
    camera = Camera(path, width, height, rate, epoch)
    server.get_mount_points().add_factory("/camera", camera)
    loop = GLib.MainLoop()
    if "wait" in sys.argv:
        sys.stdin.readline()
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    threading.Thread(target=camera.obey, args=(loop,), daemon=True).start()
    loop.run()


main()
