// Everything is put together.
function notes() {
  const p = data.pictures;
  const seen = data.framed.length;
  const some = (words) => el("li", {}, words);
  const found = data.sequences.reduce((sum, s) => sum + s.found.reduce((a, b) => a + b, 0), 0);
  const recorded = data.sequences.some((s) => s.recorded.some(Boolean));
  const parts = [
    some("Errors are read off the matches of CLEAR at an overlap of a half: a switch here is one IDSW of the table. A split is an identity that several tracks shared; a merge is a track that took several identities. One exchange of two ids is two switches, and part of two splits and two merges."),
    some(seen ? `Pictures: ${whole.format(p.shown)} of ${whole.format(p.wanted)} views, each at most ${p.size[0]} × ${p.size[1]} pixels. A page holds at most ${whole.format(p.most)}, shared evenly by the sequences.` + (seen < data.sequences.length ? ` No frames were at hand for ${data.sequences.filter((s) => !data.framed.includes(s.name)).map((s) => s.name).join(", ")}.` : "")
      : "No frames were at hand, so boxes are drawn without pictures: give the folder of frames with --frames."),
    recorded ? some("Costs are those of the run's own record.") : some("Costs that decided a switch are shown where the run was recorded with explanations and the record lies beside its result."),
    found > errors.length ? some(`The ${whole.format(errors.length)} most important of ${whole.format(found)} errors are listed.`) : null,
  ].filter(Boolean);
  byId("notes").append(el("ul", {}, parts));
  if (p.shown) byId("notes").append(el("p", { class: "note" }, "This page holds pictures out of the video. Where they show people, treat it like the video itself, and do not publish it without their consent or the data set's permission."));
  byId("notes").append(el("p", {}, `Made by Reacquire ${data.version}. This file needs no network and sends nothing.`));
}

function begin() {
  heading();
  const select = byId("sequence");
  select.append(el("option", { value: "" }, "all sequences"), ...data.sequences.map((s) => el("option", { value: s.name }, s.name)));
  select.addEventListener("change", () => choose(select.value));
  const metrics = Object.keys(data.runs[0].numbers[data.combined].full);
  byId("bar-metric").append(...metrics.map((m) => el("option", { value: m }, m)));
  byId("bar-metric").addEventListener("change", bars);
  byId("all-metrics").addEventListener("change", scoreTable);
  byId("timeline-words").textContent = "Every bar is a time in which one track followed the identity without a break; its number and its colour are the track's. " +
    (pair ? "Above tracker A, below tracker B. " : "") + "Choose an identity's name to see its errors.";
  byId("errors-words").textContent = "Before and after each error. Thick: the track's box; dashed: the true box; thin: other tracks. Choose a picture to look closer; the arrow keys go on from there.";
  compared();
  scoreTable();
  filters();
  notes();
  const curves = whenWide(byId("curves"), curvesFor);
  const timeline = whenWide(byId("rows"), timelineFor);
  watchers.push(tiles, curves, bars, () => { rowsShown = PAGE_OF_ROWS; timeline(); }, list);
  byId("timeline-order").addEventListener("change", timeline);
  byId("more-rows").addEventListener("click", () => { rowsShown += 2 * PAGE_OF_ROWS; timeline(); });
  choose(data.sequences.length === 1 ? data.sequences[0].name : "");
}
begin();
