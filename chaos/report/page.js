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
const seconds = t => t.toFixed(view.to - view.from < 20 ? 3 : 1) + " s"; // as the events are told

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

// packed puts the visible faults into as few rows as they need: [fault, row].
function packed() {
  const ends = [], least = (view.to - view.from) / 150;
  return data.faults.filter(f => f.b >= view.from && f.a <= view.to).map(f => {
    let row = ends.findIndex(e => e <= f.a);
    if (row < 0) row = ends.length;
    ends[row] = Math.max(f.b, f.a + least);
    return [f, row];
  });
}

const effect = f => f.hit ? (f.hit === 1 ? "struck once" : `struck ${f.hit} times`) : f.open ? "still going on at the end" : "had no effect";
const mostRows = 14;

function drawFaults(faults, y, h, bottom) {
  const hidden = faults.filter(([, row]) => row >= mostRows).length, most = data.healed > 0 ? data.healed : data.end;
  el("text", { x: 8, y: y + 11, class: "name" }, "faults");
  el("text", { x: 8, y: y + 25 }, view.from > 0 || view.to < data.end ? faults.length + " here" : faults.length + data.left);
  if (hidden) el("text", { x: 8, y: y + 39 }, hidden + " not drawn");
  if (data.left) bar(0, data.faults[0].a, y, h, "var(--everywhere)", `${data.left} earlier faults are in faults.jsonl`);
  const everywhere = f => f.b - f.a > 0.9 * most;
  for (const [f] of faults.length <= 60 ? faults : []) if (!everywhere(f)) bar(f.a, f.b, y, bottom - y, colours.fault, null, { opacity: 0.10 });
  for (const [f, row] of faults) {
    if (row >= mostRows) continue;
    const top = y + row * (h + 2), words = f.s.replace(/^at \S+ (for \S+ )?/, ""), faint = !f.hit && !f.open;
    bar(f.a, f.b, top, h, everywhere(f) ? "var(--everywhere)" : colours.fault, `fault ${f.n}: ${f.s}\n${effect(f)}`, { rx: 2, opacity: faint ? 0.45 : 1 });
    const room = x(Math.min(f.b, view.to)) - x(Math.max(f.a, view.from));
    if (h > 10 && room > words.length * 6 + 8) el("text", { x: Math.max(x(f.a), left) + 4, y: top + 10, style: `font-size:10px;fill:var(${everywhere(f) || faint ? "--ink" : "--fault-ink"})` }, words);
  }
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
  for (const [, e, x0, w] of columns(2)) {
    const at = (top + (h - 4) * (1 - node.rounds[e - 1] / most)).toFixed(1);
    d += `${d ? "" : `M${x0.toFixed(1)},${at}`}L${(x0 + w).toFixed(1)},${at}`;
  }
  el("path", { d, fill: "none", stroke: "var(--stroke)", "stroke-width": 1.3 });
  const now = node.rounds[clamp(Math.ceil(view.to / data.step), 1, node.rounds.length) - 1];
  el("text", { x: 8, y: y + 28 }, "round " + now);
  el("line", { x1: left, x2: width - right, y1: y + laneHeight - 4, y2: y + laneHeight - 4, stroke: "var(--quiet)" });
  drawPoints(node.points, y + laneHeight - 9);
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

// drawPoints draws the events of a lane, the worst over the others. Those of one kind that would cover each other are one mark.
function drawPoints(points, y) {
  for (const kind of ["checkpoint", "start", "note", "install", "bad"]) {
    let group = [];
    const done = () => { if (group.length) drawPoint(kind, group, y); group = []; };
    for (const p of points) {
      if (p.k !== kind || p.x < view.from || p.x > view.to) continue;
      if (group.length && x(p.x) - x(group[0].x) > 5) done();
      group.push(p);
    }
    done();
  }
}

function drawPoint(kind, group, y) {
  const cx = x(group[0].x), fill = colours[kind], more = group.length - 3;
  if (kind === "install") el("path", { d: `M${cx},${y - 5}L${cx + 5},${y}L${cx},${y + 5}L${cx - 5},${y}Z`, fill, stroke: "var(--paper)" });
  else el("circle", { cx, cy: y, r: { checkpoint: 2.2, bad: 6 }[kind] || 4, fill, stroke: kind === "checkpoint" ? "none" : "var(--paper)" });
  hits.push({ x0: cx - 5, x1: cx + 6, y0: y - 6, y1: y + 6, text: group.slice(0, 3).map(p => p.s).join("\n") + (more > 0 ? `\n… and ${more} more: look closer` : ""), first: true });
}

function drawStrip(y) {
  el("text", { x: 8, y: y + 11, class: "name" }, "roots agree");
  const words = ["no round", "reported by one replica only", "compared: equal", "DIFFERENT"];
  for (const [b, e, x0, w] of columns(7)) {
    const states = data.strip.slice(b, e), worst = states.includes(3) ? 3 : states.includes(1) ? 1 : states.includes(2) ? 2 : 0;
    el("rect", { x: x0, y, width: w + 0.3, height: 14, fill: colours.strip[worst] });
    hits.push({ x0, x1: x0 + w, y0: y, y1: y + 14, text: `${seconds(b * data.step)}: ${words[worst]}` });
  }
}

// drawProblems draws a line through everything where a violation was found, with the checkers' names above.
function drawProblems(y, bottom) {
  const labels = [];
  for (const p of data.problems) {
    if (p.x < view.from || p.x > view.to) continue;
    const px = x(p.x), near = labels.find(l => Math.abs(l.px - px) < 150);
    el("line", { x1: px, x2: px, y1: y + 2, y2: bottom, stroke: "var(--bad)", "stroke-width": 1.5, "stroke-dasharray": "4 3" });
    hits.push({ x0: px - 4, x1: px + 4, y0: y, y1: bottom, text: p.s, first: true });
    if (near) near.all.push(p);
    else labels.push({ px, all: [p] });
  }
  for (const { px, all } of labels) {
    const atEnd = px > width - right - 180; // the words would be cut off
    el("text", { x: px + (atEnd ? -5 : 5), y: y + 11, "text-anchor": atEnd ? "end" : "start", class: "problem" }, all[0].k + (all.length > 1 ? ` and ${all.length - 1} more` : ""));
    hits.push({ x0: px - (atEnd ? 150 : 4), x1: px + (atEnd ? 4 : 150), y0: y, y1: y + 14, text: all.map(p => p.s).join("\n"), first: true });
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
  scale("latency, log", y, h, most, v => v >= 1e6 ? (v / 1e6).toFixed(1) + " s" : (v / 1000).toFixed(0) + " ms");
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
  el("text", { x: 8, y: y + 26 }, "up to " + text(most));
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
  width = Math.max(300, chart.clientWidth);
  left = width < 700 ? 98 : 112;
  hits = [];
  svg = document.createElementNS(NS, "svg");
  const faults = packed(), rows = Math.min(Math.max(0, ...faults.map(f => f[1] + 1)), mostRows), h = rows > 7 ? 8 : 13;
  const above = data.problems.length ? 18 : 0, faultHeight = Math.max(rows * (h + 2), faults.length ? 42 : 30) + 6;
  const height = above + faultHeight + data.nodes.length * laneHeight + 26 + 90 + 14 + 80 + axisHeight, axis = height - axisHeight;
  drawAxis(axis, above);
  if (data.healed >= 0) bar(data.healed, data.end, above, axis - above, "#3c9d6b", null, { opacity: 0.08 });
  drawFaults(faults, above, h, axis);
  let y = above + faultHeight;
  for (let n = 0; n < data.nodes.length; n++, y += laneHeight) drawLane(n, y);
  drawStrip(y);
  drawCalls(y + 26, 80);
  drawLatency(y + 26 + 94, 76);
  drawProblems(0, axis);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  chart.replaceChildren(svg);
  document.getElementById("whole").hidden = view.from <= 0 && view.to >= data.end;
  listen();
}
