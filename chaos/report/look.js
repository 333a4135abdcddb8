"use strict";
// What people do with the chart of page.js: look closer, by mouse, finger, keyboard and links; and what stands around it.

// look shows a stretch of the run and puts it into the address, so that it can be linked to; #t=12,16 shows those seconds.
function look(from, to) {
  const least = Math.min(data.step * 4, data.end), span = clamp(to - from, least, data.end);
  view.from = clamp(from, 0, data.end - span);
  view.to = view.from + span;
  history.replaceState(null, "", span < data.end ? `#t=${view.from.toFixed(3)},${view.to.toFixed(3)}` : "#");
  tip.hidden = true;
  draw();
}
const whole = () => look(0, data.end);

function listen() {
  let from = null, mark = null;
  const at = e => clamp(e.clientX - svg.getBoundingClientRect().left, left, width - right);
  svg.onpointerdown = e => { from = at(e); mark = el("rect", { y: 0, height: "100%", fill: "#2f6fd0", opacity: 0.15 }); svg.setPointerCapture(e.pointerId); };
  svg.onpointermove = e => {
    if (from !== null) { mark.setAttribute("x", Math.min(from, at(e))); mark.setAttribute("width", Math.abs(at(e) - from)); }
    const box = svg.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top;
    const found = hits.filter(h => px >= h.x0 && px <= h.x1 && py >= h.y0 && py <= h.y1);
    const hit = found.findLast(h => h.first) || found[found.length - 1];
    tip.hidden = !hit;
    if (!hit) return;
    tip.textContent = hit.text;
    tip.style.left = clamp(e.clientX + 14, 4, Math.max(4, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (e.clientY + 20 + tip.offsetHeight > innerHeight ? e.clientY - tip.offsetHeight - 10 : e.clientY + 16) + "px";
  };
  svg.onpointerleave = () => { tip.hidden = true; };
  svg.onpointercancel = () => { from = null; mark?.remove(); };
  svg.onpointerup = e => {
    if (from === null) return;
    const a = Math.min(from, at(e)), b = Math.max(from, at(e));
    from = null;
    mark.remove();
    if (b - a > 5) look(time(a), time(b));
  };
  svg.ondblclick = whole;
}

// The chart with the keyboard: nearer, farther, earlier, later, the whole run.
chart.onkeydown = e => {
  const span = view.to - view.from, middle = (view.from + view.to) / 2;
  const does = { "+": () => look(middle - span / 4, middle + span / 4), "-": () => look(middle - span, middle + span), "0": whole,
    ArrowLeft: () => look(view.from - span / 5, view.to - span / 5), ArrowRight: () => look(view.from + span / 5, view.to + span / 5) };
  const action = does[e.key === "=" ? "+" : e.key];
  if (!action || e.ctrlKey || e.metaKey || e.altKey) return;
  action();
  e.preventDefault();
};
document.getElementById("whole").onclick = whole;
document.getElementById("near")?.addEventListener("click", () => {
  const at = data.problems[0].x, span = Math.max(data.end / 40, Math.min(4, data.end / 4));
  look(at - span * 0.8, at + span * 0.2);
});

const legend = [
  ["roles", ["leader", colours.leader], ["follower", colours.follower], ["candidate", colours.candidate], ["down", colours.down]],
  ["events", ["start", colours.start, "dot"], ["checkpoint", colours.checkpoint, "small"], ["checkpoint installed", colours.install, "diamond"], ["something refused or cut", colours.note, "dot"], ["wrong", colours.bad, "dot"]],
  ["rounds", ["applied", "var(--stroke)", "line"], ["behind the newest", "#d05a3c", "", 0.35]],
  ["faults", ["had an effect", colours.fault], ["had none", colours.fault, "", 0.45], ["quiet ending", "#3c9d6b", "", 0.25]],
  ["calls", ["answered", colours.ok], ["refused", colours.refused], ["unknown", colours.unknown]],
  ["latency", ["median", "var(--stroke)", "line"], ["99th percentile", "var(--stroke-soft)", "line"]]];
document.getElementById("legend").append(...legend.map(([name, ...all]) => {
  const group = document.createElement("div"), title = document.createElement("b");
  title.textContent = name;
  group.append(title, ...all.map(([word, colour, shape, opacity]) => {
    const e = document.createElement("span"), i = document.createElement("i");
    i.style.background = colour;
    if (shape) i.className = shape;
    if (opacity) i.style.opacity = opacity;
    e.append(i, word);
    return e;
  }));
  return group;
}));

// The list of faults, each linked to its time.
document.getElementById("faults").append(...(data.faults.length ? data.faults : [null]).map(f => {
  const row = document.createElement("tr");
  if (!f) { row.insertCell().textContent = "None."; return row; }
  const link = document.createElement("a"), code = document.createElement("code"), number = row.insertCell(), words = row.insertCell(), count = row.insertCell();
  const around = Math.max((f.b - f.a) / 2, 0.5);
  link.href = `#t=${Math.max(0, f.a - around).toFixed(3)},${(f.b + around).toFixed(3)}`;
  link.textContent = f.n;
  link.title = "Look at it";
  code.textContent = f.s;
  number.className = count.className = "number";
  number.append(link);
  words.append(code);
  count.textContent = f.hit ? f.hit + "×" : f.open ? "going on" : "no effect";
  if (!f.hit && !f.open) row.className = "idle";
  return row;
}));
if (data.left) document.getElementById("faults").createCaption().textContent = `The newest ${data.faults.length}; ${data.left} earlier ones are in faults.jsonl.`;

// The picture of calls is a page of its own, shown when it is asked for.
const callsBox = document.getElementById("calls");
callsBox.addEventListener("toggle", () => {
  if (callsBox.querySelector("iframe")) return;
  const frame = document.createElement("iframe");
  frame.srcdoc = calls;
  frame.onload = () => { // as high as what is in it, and at the first call that fits no order
    const page = frame.contentDocument;
    frame.title = "porcupine's picture of the calls";
    frame.style.height = clamp(page.querySelector("#canvas").getBoundingClientRect().bottom + 70, 180, Math.max(300, innerHeight * 0.7)) + "px";
    const shown = page.defaultView.Element.prototype, slowly = shown.scrollIntoView;
    shown.scrollIntoView = function () { slowly.call(this, { inline: "center", block: "nearest" }); };
    page.querySelector("#jump-link:not(.inactive)")?.dispatchEvent(new Event("click")); // it is drawn, and has no click()
  };
  callsBox.append(frame);
});
if (location.hash === "#calls") callsBox.open = true;
if (data.marked) document.getElementById("thinned").textContent = `So many events that the lanes leave out those before ${seconds(data.marked)}.`;
for (const e of document.querySelectorAll("pre.tail")) e.scrollTop = e.scrollHeight;
function follow() {
  const stretch = /^#t=([0-9.]+),([0-9.]+)$/.exec(location.hash);
  if (stretch && +stretch[1] < +stretch[2]) look(+stretch[1], +stretch[2]);
  else draw();
}
addEventListener("resize", draw);
addEventListener("hashchange", () => { follow(); chart.scrollIntoView({ block: "nearest" }); });
follow();
