"use strict";
// The chart: faults, a lane a node, agreement, calls, latency over one time axis. data is made by picture.go.
const colours = {
  leader: "#2f6fd0", follower: "var(--follower)", candidate: "#f0c75e", down: "var(--down)",
  checkpoint: "#6b7785", install: "#8a4fbf", start: "#1a7f4b", note: "#d07a00", bad: "#c0262d",
  fault: "#e8912d", ok: "#3c9d6b", refused: "#e3b341", unknown: "#b0563f", strip: ["var(--quiet)", "#f0c75e", "#3c9d6b", "#c0262d"],
};
let left = 112; // less on narrow screens
const right = 14, laneHeight = 58, axisHeight = 22;
const newest = data.strip.map((_, b) => Math.max(...data.nodes.map(n => n.rounds[b])));
const mostBehind = Math.max(10, ...data.nodes.flatMap(n => n.rounds.map((r, b) => newest[b] - r)));
const view = { from: 0, to: data.end };
const chart = document.getElementById("chart"), tip = document.getElementById("tip");
const NS = "http://www.w3.org/2000/svg";
let svg, width, hits;

function el(name, attributes, text) {
  const e = document.createElementNS(NS, name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (text !== undefined) e.textContent = text;
  svg.appendChild(e);
  return e;
}
const x = t => left + (t - view.from) / (view.to - view.from) * (width - left - right);
const time = px => view.from + (px - left) / (width - left - right) * (view.to - view.from);
const clamp = (v, a, b) => Math.max(a, Math.min(b, v));
const seconds = t => t < 120 ? t.toFixed(view.to - view.from < 20 ? 2 : 1) + " s" : Math.floor(t / 60) + " min " + (t % 60).toFixed(0) + " s";

// bar draws a stretch of time, cut to what is visible, and lets the mouse find it. It is at least a pixel wide.
function bar(a, b, y, h, fill, text, more) {
  if (b < view.from || a > view.to) return;
  const x0 = clamp(x(a), left, width - right), x1 = clamp(x(b), left, width - right);
  el("rect", Object.assign({ x: x0, y, width: Math.max(x1 - x0, 1), height: h, fill }, more || {}));
  if (text) hits.push({ x0: x0 - 2, x1: Math.max(x1, x0 + 3) + 1, y0: y, y1: y + h, text });
}

// columns cuts the visible bins into columns of at least so many pixels: [first bin, end, x, width].
function columns(least) {
  const n = data.strip.length, first = clamp(Math.floor(view.from / data.step), 0, n - 1), end = clamp(Math.ceil(view.to / data.step), first + 1, n);
  const per = Math.max(1, Math.ceil((end - first) / ((width - left - right) / least))), all = [];
  for (let b = first; b < end; b += per) {
    const e = Math.min(b + per, end), x0 = clamp(x(b * data.step), left, width - right), x1 = clamp(x(e * data.step), left, width - right);
    all.push([b, e, x0, x1 - x0]);
  }
  return all;
}

function niceStep(span, count) {
  const raw = span / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map(f => f * power).find(s => s >= raw);
}

// packed puts bands into as few rows as they need.
function packed(bands) {
  const ends = [];
  return bands.map(f => {
    let row = ends.findIndex(e => e <= f.a);
    if (row < 0) row = ends.length;
    ends[row] = Math.max(f.b, f.a + data.end / 150);
    return row;
  });
}

function drawFaults(y, bottom) {
  const rows = packed(data.faults), count = Math.max(0, ...rows.map(r => r + 1)), shown = Math.min(count, 14), h = count > 7 ? 8 : 13;
  el("text", { x: 8, y: y + 11, class: "name" }, "faults");
  data.faults.forEach((f, i) => {
    const everywhere = f.b - f.a > 0.9 * (data.healed > 0 ? data.healed : data.end);
    if (!everywhere) bar(f.a, f.b, y, bottom - y, colours.fault, null, { opacity: data.faults.length > 60 ? 0.05 : 0.10 });
    if (rows[i] >= shown) return;
    const top = y + rows[i] * (h + 2), words = f.s.replace(/^at \S+ (for \S+ )?/, "");
    bar(f.a, f.b, top, h, everywhere ? "var(--everywhere)" : colours.fault, `fault ${f.n}: ${f.s}\n${f.hit ? "struck " + f.hit + " times" : "had no effect"}`, { rx: 2, opacity: f.hit ? 1 : 0.45 });
    const room = x(Math.min(f.b, view.to)) - x(Math.max(f.a, view.from));
    if (h > 10 && room > words.length * 6 + 8) el("text", { x: Math.max(x(f.a), left) + 4, y: top + 10, style: `font-size:10px;fill:var(${everywhere ? "--ink" : "--fault-ink"})` }, words);
  });
  return y + Math.max(shown * (h + 2), 15) + 6;
}

function drawLane(n, y) {
  const node = data.nodes[n], h = laneHeight - 18;
  el("text", { x: 8, y: y + 12, class: "name" }, "node " + (n + 1));
  for (const s of node.roles) {
    bar(s.a, s.b, y, 12, colours[s.is], `node ${n + 1}: ${s.is}${s.t ? " in term " + s.t : ""}\n${seconds(s.a)} to ${seconds(s.b)}`);
    if (s.is === "down") bar(s.a, s.b, y + 12, h, "var(--down)", null, { opacity: 0.09 });
  }
  const top = y + 14, most = Math.max(data.newest, 1);
  drawLag(n, top + h, h - 12);
  let d = "";
  for (const [, e, x0, w] of columns(2)) d += `${d ? "L" : "M"}${(x0 + w).toFixed(1)},${(top + (h - 4) * (1 - node.rounds[e - 1] / most)).toFixed(1)}`;
  el("path", { d, fill: "none", stroke: "var(--stroke)", "stroke-width": 1.3 });
  const now = node.rounds[clamp(Math.ceil(view.to / data.step), 1, node.rounds.length) - 1];
  el("text", { x: 8, y: y + 28 }, "round " + now);
  el("line", { x1: left, x2: width - right, y1: y + laneHeight - 4, y2: y + laneHeight - 4, stroke: "var(--quiet)" });
  for (const p of node.points) drawPoint(p, y + laneHeight - 9);
}

// drawLag draws how far the node is behind the newest round of any.
function drawLag(n, bottom, h) {
  let d = `M${left},${bottom}`, last = left, any = false;
  for (const [b, , x0, w] of columns(2)) {
    const behind = newest[b] - data.nodes[n].rounds[b];
    any = any || behind > 0;
    const y = (bottom - h * behind / mostBehind).toFixed(1);
    d += `L${x0.toFixed(1)},${y}L${(last = x0 + w).toFixed(1)},${y}`;
  }
  if (any) el("path", { d: d + `L${last.toFixed(1)},${bottom}Z`, fill: "#d05a3c", opacity: 0.35 });
}

function drawPoint(p, y) {
  if (p.x < view.from || p.x > view.to) return;
  const cx = x(p.x), r = p.k === "checkpoint" ? 2.2 : 4.2, fill = colours[p.k];
  if (p.k === "install") el("path", { d: `M${cx},${y - 6}L${cx + 5},${y}L${cx},${y + 6}L${cx - 5},${y}Z`, fill, stroke: "#fff" });
  else el("circle", { cx, cy: y, r: p.k === "bad" ? 6 : r, fill, stroke: p.k === "checkpoint" ? "none" : "#fff" });
  hits.push({ x0: cx - 5, x1: cx + 5, y0: y - 6, y1: y + 6, text: p.s, first: true });
}

function drawStrip(y) {
  el("text", { x: 8, y: y + 11, class: "name" }, "roots agree");
  const words = ["no round", "reported by one replica only", "compared: equal", "DIFFERENT"];
  for (const [b, e, x0, w] of columns(7)) {
    const states = data.strip.slice(b, e), worst = states.includes(3) ? 3 : states.includes(1) ? 1 : states.includes(2) ? 2 : 0;
    el("rect", { x: x0, y, width: w + 0.3, height: 14, fill: colours.strip[worst] });
    hits.push({ x0, x1: x0 + w, y0: y, y1: y + 14, text: `${seconds(b * data.step)}: ${words[worst]}` });
  }
  for (const p of data.problems || []) {
    if (p.x < view.from || p.x > view.to) continue;
    el("line", { x1: x(p.x), x2: x(p.x), y1: 0, y2: y + 14, stroke: colours.bad, "stroke-width": 1.5, "stroke-dasharray": "4 3" });
    const atEnd = x(p.x) > width - right - 110; // the words would be cut off
    el("text", { x: x(p.x) + (atEnd ? -5 : 5), y: y - 4, "text-anchor": atEnd ? "end" : "start", style: "fill:var(--bad);font-weight:600;paint-order:stroke;stroke:var(--paper);stroke-width:4px" }, "first difference");
    hits.push({ x0: x(p.x) - 4, x1: x(p.x) + 4, y0: y, y1: y + 14, text: p.s, first: true });
  }
}

function drawCalls(y, h) {
  const all = columns(7).map(([b, e, x0, w]) => ({ x0, w, b, s: data.calls.map(c => c.slice(b, e).reduce((a, v) => a + v, 0) / ((e - b) * data.step)) }));
  const most = Math.max(1, ...all.map(c => c.s[0] + c.s[1] + c.s[2]));
  scale("calls a second", y, h, most, v => String(Math.round(v)));
  for (const c of all) {
    let base = y + h;
    c.s.forEach((v, i) => {
      const height = v / most * h;
      if (height > 0) el("rect", { x: c.x0, y: base -= height, width: c.w + 0.2, height, fill: [colours.ok, colours.refused, colours.unknown][i] });
    });
    hits.push({ x0: c.x0, x1: c.x0 + c.w, y0: y, y1: y + h, text: `${seconds(c.b * data.step)}: ${c.s[0].toFixed(0)} answered, ${c.s[1].toFixed(0)} refused, ${c.s[2].toFixed(0)} unknown a second` });
  }
}

function drawLatency(y, h) {
  const some = data.latency[0].filter(v => v > 0), least = Math.max(50, (some.length ? Math.min(...some) : 100) / 2), most = Math.max(4 * least, ...data.latency[1]), at = v => y + h * (1 - Math.log(Math.max(v, least) / least) / Math.log(most / least));
  scale("latency", y, h, most, v => v >= 1e6 ? (v / 1e6).toFixed(1) + " s" : (v / 1000).toFixed(0) + " ms");
  [["var(--stroke-soft)", 1], ["var(--stroke)", 0]].forEach(([stroke, i]) => {
    let d = "", pen = "M", gap = 0;
    for (const [b, e, x0, w] of columns(4)) {
      const v = Math.max(...data.latency[i].slice(b, e));
      if (v <= 0) { gap++; continue; }
      if (gap * w > 24) pen = "M"; // nothing was answered for a while: no line
      gap = 0;
      if (pen === "M") d += `M${x0.toFixed(1)},${at(v).toFixed(1)}`, pen = "L"; // a lone value is seen too
      d += `${pen}${(x0 + w / 2).toFixed(1)},${at(v).toFixed(1)}`;
      pen = "L";
    }
    el("path", { d, fill: "none", stroke, "stroke-width": 1.2 });
  });
  for (const [b, e, x0, w] of columns(4)) {
    const p = i => (Math.max(...data.latency[i].slice(b, e)) / 1000).toFixed(1);
    hits.push({ x0, x1: x0 + w, y0: y, y1: y + h, text: `${seconds(b * data.step)}: median ${p(0)} ms, 99% below ${p(1)} ms` });
  }
}

function scale(name, y, h, most, text) {
  el("text", { x: 8, y: y + 12, class: "name" }, name);
  el("text", { x: 8, y: y + 26 }, "to " + text(most));
  el("line", { x1: left, x2: width - right, y1: y + h, y2: y + h, stroke: "var(--line)" });
}

function drawAxis(y, top) {
  const step = niceStep(view.to - view.from, width < 700 ? 5 : 10);
  for (let t = Math.ceil(view.from / step) * step; t <= view.to + 1e-9; t += step) {
    el("line", { x1: x(t), x2: x(t), y1: top, y2: y, stroke: "var(--quiet)" });
    el("text", { x: x(t), y: y + 14, "text-anchor": "middle" }, +t.toFixed(6) + " s");
  }
}

function draw() {
  width = Math.max(320, chart.clientWidth);
  left = width < 700 ? 98 : 112;
  hits = [];
  svg = document.createElementNS(NS, "svg");
  const rows = Math.min(Math.max(1, ...packed(data.faults).map(r => r + 1)), 14), faultHeight = Math.max(rows * (rows > 7 ? 10 : 15), 15) + 6;
  const height = faultHeight + data.nodes.length * laneHeight + 26 + 90 + 14 + 80 + axisHeight, axis = height - axisHeight;
  drawAxis(axis, 0);
  if (data.healed >= 0) bar(data.healed, data.end, 0, axis, "#3c9d6b", null, { opacity: 0.06 });
  let y = drawFaults(0, axis);
  for (let n = 0; n < data.nodes.length; n++, y += laneHeight) drawLane(n, y);
  drawStrip(y);
  drawCalls(y + 26, 80);
  drawLatency(y + 26 + 94, 76);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  chart.replaceChildren(svg);
  listen();
}

function listen() {
  let from = null, mark = null;
  const at = e => clamp(e.clientX - svg.getBoundingClientRect().left, left, width - right);
  svg.onmousedown = e => { from = at(e); mark = el("rect", { y: 0, height: "100%", fill: "#2f6fd0", opacity: 0.15 }); e.preventDefault(); };
  svg.onmousemove = e => {
    if (from !== null) { mark.setAttribute("x", Math.min(from, at(e))); mark.setAttribute("width", Math.abs(at(e) - from)); }
    const box = svg.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top;
    const found = hits.filter(h => px >= h.x0 && px <= h.x1 && py >= h.y0 && py <= h.y1);
    const hit = found.find(h => h.first) || found[found.length - 1];
    tip.hidden = !hit;
    if (!hit) return;
    tip.textContent = hit.text;
    tip.style.left = Math.min(e.clientX + 14, innerWidth - 480) + "px";
    tip.style.top = e.clientY + 16 + "px";
  };
  svg.onmouseleave = () => { tip.hidden = true; };
  svg.onmouseup = e => {
    if (from === null) return;
    const a = time(Math.min(from, at(e))), b = time(Math.max(from, at(e)));
    const far = Math.abs(at(e) - from) > 5;
    from = null;
    if (far) {
      view.from = a;
      view.to = Math.max(b, a + data.step * 4);
      history.replaceState(null, "", `#t=${view.from.toFixed(3)},${view.to.toFixed(3)}`);
    }
    draw();
  };
  svg.ondblclick = () => { view.from = 0; view.to = data.end; history.replaceState(null, "", "#"); draw(); };
}

const legend = [["leader", colours.leader], ["follower", colours.follower], ["candidate", colours.candidate], ["down", colours.down],
  ["fault", colours.fault], ["quiet ending", "#dcefe4"], ["start", colours.start], ["checkpoint", colours.checkpoint], ["checkpoint installed", colours.install], ["rounds behind", "#e9b5a6"],
  ["something refused or cut", colours.note], ["wrong", colours.bad], ["answered", colours.ok], ["refused", colours.refused], ["unknown", colours.unknown]];
document.getElementById("legend").append(...legend.map(([name, colour]) => {
  const e = document.createElement("span"), i = document.createElement("i");
  i.style.background = colour;
  e.append(i, name);
  return e;
}));
// The picture of calls is a page of its own, shown when it is asked for.
const callsBox = document.getElementById("calls");
callsBox.addEventListener("toggle", () => {
  if (callsBox.querySelector("iframe")) return;
  const frame = document.createElement("iframe");
  frame.srcdoc = calls;
  frame.onload = () => { // as high as what is in it, and at the first call that fits no order
    const page = frame.contentDocument;
    frame.style.height = Math.min(page.body.scrollHeight + 40, innerHeight * 0.7) + "px";
    const shown = page.defaultView.Element.prototype, slowly = shown.scrollIntoView;
    shown.scrollIntoView = function () { slowly.call(this, { inline: "center", block: "nearest" }); };
    page.querySelector("#jump-link:not(.inactive)")?.dispatchEvent(new Event("click")); // it is drawn, and has no click()
  };
  callsBox.append(frame);
});
if (location.hash === "#calls") callsBox.open = true;
if (data.thinned) document.getElementById("thinned").textContent = "So many events that some are left out of the lanes.";
// #t=12,16 shows those seconds, so that a stretch can be linked to.
const stretch = /^#t=([0-9.]+),([0-9.]+)$/.exec(location.hash);
if (stretch && +stretch[1] < +stretch[2]) { view.from = Math.min(+stretch[1], data.end); view.to = Math.min(+stretch[2], data.end); }
for (const e of document.querySelectorAll("pre.tail")) e.scrollTop = e.scrollHeight;
addEventListener("resize", draw);
draw();
