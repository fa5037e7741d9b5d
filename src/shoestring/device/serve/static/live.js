"use strict";
// The live page: follows /events, shows what it says, and says so when nothing comes any more.
// Everything is text or SVG made here; nothing that the device says is ever read as markup.

const LOST_MS = 3000; // events come twice a second
const PICTURE_MS = 250;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

const byId = (id) => document.getElementById(id);
const set = (id, words) => { const at = byId(id); if (at.textContent !== words) at.textContent = words; };
let last = null; // state
let heardAt = -Infinity;
let tries = 0;
let paused = matchMedia("(prefers-reduced-motion: reduce)").matches;

// --- asking ---------------------------------------------------------------------------------------------------------

const taken = new URLSearchParams(location.hash.slice(1)).get("token");
if (taken) {
  sessionStorage.setItem("token", taken);
  history.replaceState(null, "", location.pathname);
}

function ask(path, more) {
  const token = sessionStorage.getItem("token");
  const headers = { ...(more || {}), ...(token ? { Authorization: "Bearer " + token } : {}) };
  return fetch(path, { headers, cache: "no-store", credentials: "omit" });
}

async function follow() {
  try {
    const answer = await ask("/events");
    if (answer.status === 401) return wantToken();
    if (!answer.ok) throw new Error("status " + answer.status);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        event(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  } catch (error) { /* told by the watch below */ }
  const wait = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)];
  setTimeout(follow, wait);
  watch();
}

function event(lines) {
  const kind = /^event: (.*)$/m.exec(lines);
  const data = /^data: (.*)$/m.exec(lines);
  if (!kind || kind[1] !== "state" || !data) return;
  last = JSON.parse(data[1]);
  heardAt = performance.now();
  tries = 0;
  show(last);
}

function wantToken() {
  const had = sessionStorage.getItem("token");
  sessionStorage.removeItem("token");
  byId("token-form").hidden = false;
  status("wrong", "✕", had ? "That token is not known here" : "A token is needed");
  byId("token").focus();
}

byId("token-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem("token", byId("token").value.trim());
  byId("token").value = "";
  byId("token-form").hidden = true;
  status("", "○", "Connecting");
  follow();
});

// --- what is wrong --------------------------------------------------------------------------------------------------

function status(kind, sign, words) {
  byId("status").className = "status " + kind;
  byId("status").querySelector(".sign").textContent = sign;
  set("status-words", words);
}

function watch() {
  const lost = performance.now() - heardAt > LOST_MS;
  document.body.classList.toggle("lost", lost && last !== null);
  if (!byId("token-form").hidden) return;
  if (lost) {
    if (last !== null) status("wrong", "✕", "Connection lost, trying again. What is below is old.");
  } else if (last.troubles.length > 0) {
    status("wrong", "▲", last.troubles.length === 1 ? "Something is wrong" : last.troubles.length + " things are wrong");
  } else {
    status("well", "●", "Running");
  }
}

function showTroubles(troubles) {
  const words = troubles.map((one) => [name(one.what), one.words]);
  const list = byId("troubles");
  const key = JSON.stringify(words);
  if (list.dataset.key === key) return; // a screen reader is told of changes only
  list.dataset.key = key;
  list.replaceChildren(...words.map(([what, said]) => make("li", {}, make("strong", {}, what + ": "), said)));
}

// --- words ----------------------------------------------------------------------------------------------------------

const NAMES = { celsius: "Temperature", watts: "Power", source: "Camera", engine: "Engine", battery_wh: "Battery" };
const name = (what) => NAMES[what] || what.charAt(0).toUpperCase() + what.slice(1).replaceAll("_", " ");
const figure = (value, digits) => (value === null ? "not known" : value.toFixed(digits));
const ms = (value) => (value < 10 ? value.toFixed(1) + " ms" : value < 1000 ? value.toFixed(0) + " ms" : (value / 1000).toFixed(1) + " s");

function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h";
}

function rateWords(rate) {
  return rate >= 100 ? rate.toFixed(0) : rate >= 1 ? rate.toFixed(1) : rate.toFixed(2);
}

function seenWords(seen) {
  if (seen === null) return "Nothing was looked at yet.";
  if (seen.top !== null) return seen.top.slice(0, 3).map((one) => one.label + " " + (100 * one.score).toFixed(0) + " %").join(", ");
  if (seen.box_count === 0) return "Nothing found.";
  const counts = new Map();
  for (const box of seen.boxes) counts.set(box.label, (counts.get(box.label) || 0) + 1);
  return [...counts].map(([label, count]) => count + " × " + label).join(", ");
}

// --- showing --------------------------------------------------------------------------------------------------------

function show(state) {
  byId("main").hidden = false;
  document.title = state.name + " – Shoestring live";
  set("name", state.name);
  showTroubles(state.troubles);
  watch();
  set("rung", state.rung === null ? (state.wanted_rate === null ? "none yet" : "resting") : state.rung);
  set("why", state.why === null ? "" : state.why);
  set("rate", rateWords(state.rate) + " /s");
  set("rate-more", state.wanted_rate === null ? "over the last 10 s" : rateWords(state.wanted_rate) + " /s allowed");
  const times = state.latency_ms;
  set("latency", times.p50 === null ? "–" : ms(times.p50));
  set("latency-more", times.p99 === null ? "no answer yet" : "99 of 100 within " + ms(times.p99));
  showLine("celsius", state.temperature, "°C", 1);
  showLine("watts", state.watts, "W", 1);
  showPicture(state);
  showWriting(state);
  plots(state);
  showDecisions(state.decisions);
  showBoard(state);
}

function showLine(id, line, unit, digits) {
  set(id, line.now === null ? "not known" : figure(line.now, digits) + " " + unit);
  const parts = [];
  if (line.limit !== null) parts.push("limit " + figure(line.limit, 0) + " " + unit);
  if (line.forecast !== null) parts.push(figure(line.forecast[1], 1) + " " + unit + " in " + span(line.forecast[0]));
  if (line.now === null && id === "celsius" && last.wanted_rate !== null) parts.push("taken for hot");
  set(id + "-more", parts.join(", "));
  byId(id).closest("div").classList.toggle("over", line.now !== null && line.limit !== null && line.now > line.limit);
}

function showPicture(state) {
  const there = state.picture !== null;
  byId("picture-figure").hidden = !there;
  byId("no-picture").hidden = there;
  set("no-picture", state.source === null ? "No camera: this device answers requests." : "No picture from " + state.source + " yet.");
  if (!there) return;
  const words = seenWords(state.seen);
  set("seen", words);
  byId("picture").alt = "Picture from " + (state.source || "the camera") + ": " + words;
  const stale = state.troubles.find((one) => one.what === "source");
  byId("frame").classList.toggle("stale", stale !== undefined);
  byId("old").hidden = stale === undefined;
  if (stale !== undefined) set("old", "Old: " + (state.seen === null ? "no picture" : "this is " + span(state.seen.age_s) + " ago"));
}

function showWriting(state) {
  const written = state.written;
  byId("writing").hidden = written === null;
  byId("watch").hidden = written !== null;
  if (written === null) return;
  set("tokens", written.tokens_per_s === null ? "–" : rateWords(written.tokens_per_s) + " tokens/s");
  set("tokens-more", written.tokens_per_s === null ? "nothing was written in the last 10 s" : "of one answer, in the last 10 s");
  set("first", written.first_ms === null ? "–" : ms(written.first_ms));
  set("first-more", written.first_ms === null ? "no answer yet" : "half of the last answers began within it");
  const answers = (count) => count + (count === 1 ? " answer" : " answers");
  set("under-way", answers(written.writing));
  set("under-way-more", written.waiting + " waiting, " + written.may_wait + " may" + (written.refused > 0 ? "; " + written.refused + " found no place" : ""));
  set("written", written.written + " tokens written");
  set("written-more", written.read + " read, in " + answers(written.answers));
  set("rate", rateWords(state.rate) + " answers/s");
  set("rate-more", state.wanted_rate === null ? "over the last 10 s" : rateWords(state.wanted_rate) + " tokens/s allowed");
}

let shownUrl = null;
let shownTag = null;
async function pictures() {
  try {
    if (!paused && !document.hidden && last !== null && last.picture !== null) {
      const answer = await ask("/picture.jpg", shownTag === null ? {} : { "If-None-Match": shownTag });
      if (answer.ok) {
        const url = URL.createObjectURL(await answer.blob());
        shownTag = answer.headers.get("etag");
        byId("picture").src = url;
        if (shownUrl !== null) URL.revokeObjectURL(shownUrl);
        shownUrl = url;
      }
    }
  } catch (error) { /* the watch tells of a lost connection */ }
  setTimeout(pictures, PICTURE_MS);
}

function showPause() {
  byId("pause").setAttribute("aria-pressed", String(paused));
  set("pause", paused ? "Picture paused" : "Pause picture");
}
byId("pause").addEventListener("click", () => { paused = !paused; showPause(); });

function showDecisions(decisions) {
  const list = byId("decisions");
  byId("no-decisions").hidden = decisions.length > 0;
  list.hidden = decisions.length === 0;
  const known = new Set(Array.from(list.children, (item) => item.dataset.key));
  const fresh = decisions.filter((one) => !known.has(String(one.at)));
  for (const one of fresh.reverse()) {
    const at = new Date(1000 * one.at);
    const time = make("time", { datetime: at.toISOString() }, at.toTimeString().slice(0, 8));
    const what = one.rung === null ? "rest" : one.rung + " at " + rateWords(one.rate) + (last !== null && last.written !== null ? " tokens/s" : " /s");
    list.prepend(make("li", { "data-key": String(one.at) }, time, make("b", {}, what), make("span", {}, one.why)));
  }
  while (list.children.length > decisions.length) list.lastChild.remove();
}

function showBoard(state) {
  const rows = [];
  const board = state.board || {};
  const add = (what, words) => rows.push([what, words]);
  if (board.clock != null) add("Clock", (100 * board.clock).toFixed(0) + " % of full");
  if (board.throttled != null) add("Held down for heat", board.throttled ? "yes" : "no");
  if (board.under_voltage != null) add("Supply", board.under_voltage ? "too weak" : "well");
  if (board.pressure != null) add("Waiting for a processor", board.pressure.toFixed(0) + " % of the time");
  if (board.memory_free_bytes != null) add("Free memory", (board.memory_free_bytes / 1e6).toFixed(0) + " MB");
  if (board.battery_wh != null) add("Battery", board.battery_wh.toFixed(1) + " Wh left" + (board.on_battery ? ", in use" : ""));
  add("Running for", span(state.up_s));
  add("Answers", String(state.counts.answered));
  if (state.written === null) add("Frames let go", String(state.counts.dropped));
  const key = JSON.stringify(rows);
  const list = byId("board");
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...rows.map(([what, words]) => make("div", {}, make("dt", {}, what), make("dd", {}, words))));
}

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- plots ----------------------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 170, LEFT = 38, RIGHT = 12, TOP = 12, BOTTOM = 26;

function draw(id, title, words, fill) {
  const place = byId(id);
  const width = Math.max(240, place.clientWidth);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": title + ". " + words });
  fill(svg, width);
  place.replaceChildren(svg);
  set(id + "-words", words);
}

function shape(tag, attributes, words) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, typeof value === "number" ? value.toFixed(1) : value);
  if (words !== undefined) made.textContent = words;
  return made;
}

function plots(state) {
  lineplot("heat", "Temperature over the last 10 minutes", state.temperature, "°C");
  lineplot("power", "Power over the last 10 minutes", state.watts, "W");
  histogram(state.latency_ms);
}

function lineplot(id, title, line, unit) {
  const known = line.history.filter((point) => point[1] !== null);
  if (known.length === 0) {
    byId(id).replaceChildren();
    set(id + "-words", "Not known: no sensor says it.");
    return;
  }
  const values = known.map((point) => point[1]);
  const least = Math.min(...values), most = Math.max(...values);
  let words = least.toFixed(1) === most.toFixed(1) ? `${most.toFixed(1)} ${unit}` : `Between ${least.toFixed(1)} and ${most.toFixed(1)} ${unit}`;
  words += ` in the last ${span(Math.max(...line.history.map((point) => point[0])) + 2)}`;
  if (line.now !== null) words += `, now ${line.now.toFixed(1)}`;
  if (line.forecast !== null) words += `, ${line.forecast[1].toFixed(1)} expected in ${span(line.forecast[0])}`;
  words += line.limit === null ? "." : `; the limit is ${line.limit.toFixed(1)}.`;
  draw(id, title, words, (svg, width) => {
    const ahead = line.forecast === null ? 0 : line.forecast[0];
    const inside = [...values, ...(line.limit === null ? [] : [line.limit]), ...(line.forecast === null ? [] : [line.forecast[1]])];
    const [low, high, step] = scale(Math.min(...inside), Math.max(...inside));
    const x = (age) => LEFT + (width - LEFT - RIGHT) * (600 - age) / (600 + ahead);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low);
    for (let value = low; value <= high + step / 1000; value += step) {
      svg.append(shape("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
      svg.append(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toFixed(2)))));
    }
    for (const [age, text] of [[600, "10 min ago"], [300, "5 min"], [0, "now"]]) {
      const anchor = age === 600 ? "start" : age === 0 && ahead === 0 ? "end" : "middle";
      svg.append(shape("line", { x1: x(age), x2: x(age), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4, class: "axis" }));
      svg.append(shape("text", { x: x(age), y: HEIGHT - 6, "text-anchor": anchor }, text));
    }
    if (line.limit !== null) {
      svg.append(shape("line", { x1: LEFT, x2: width - RIGHT, y1: y(line.limit), y2: y(line.limit), class: "limit" }));
      svg.append(shape("text", { x: LEFT + 4, y: y(line.limit) + (y(line.limit) < TOP + 14 ? 14 : -5), class: "strong" }, "limit"));
    }
    svg.append(shape("path", { d: path(line.history, x, y), class: "curve" }));
    if (line.now !== null) {
      if (line.forecast !== null) {
        svg.append(shape("path", { d: `M${x(0)} ${y(line.now)}L${x(-ahead)} ${y(line.forecast[1])}`, class: "expected" }));
        svg.append(shape("circle", { cx: x(-ahead), cy: y(line.forecast[1]), r: 4, class: "ring" }));
      }
      svg.append(shape("circle", { cx: x(0), cy: y(line.now), r: 4, class: "point" }));
    }
  });
}

function path(history, x, y) {
  let d = "", pen = "M";
  for (const [age, value] of history) {
    if (value === null) { pen = "M"; continue; } // a sensor that was lost leaves a gap
    d += `${pen}${x(age).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

function scale(least, most) {
  const wide = Math.max(most - least, Math.abs(most) * 0.02, 0.5);
  const rough = wide / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const low = Math.floor(least / step) * step, high = Math.ceil(most / step) * step;
  return [low, high === low ? low + step : high, step];
}

function histogram(times) {
  if (times.n === 0) {
    byId("times").replaceChildren();
    set("times-words", "No answer yet.");
    return;
  }
  const words = `Of the last ${times.n} answers half took at most ${ms(times.p50)}, 9 of 10 at most ${ms(times.p90)}, 99 of 100 at most ${ms(times.p99)}.`;
  let first = times.counts.findIndex((count) => count > 0);
  let end = times.counts.length - [...times.counts].reverse().findIndex((count) => count > 0);
  first = Math.max(0, first - 1);
  end = Math.min(times.counts.length, Math.max(end + 1, first + 4));
  const label = (place) => (place < times.edges.length ? "≤ " + ms(times.edges[place]).replace(".0", "") : "more");
  draw("times", "Distribution of the latency", words, (svg, width) => {
    const most = Math.max(...times.counts);
    const each = (width - LEFT - RIGHT) / (end - first);
    const every = Math.ceil(62 / each); // labels must not run into each other
    const y = (count) => TOP + 14 + (HEIGHT - TOP - 14 - BOTTOM) * (1 - count / most);
    svg.append(shape("line", { x1: LEFT, x2: width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "axis" }));
    for (let place = first; place < end; place += 1) {
      const count = times.counts[place], middle = LEFT + (place - first + 0.5) * each;
      if (count > 0) {
        svg.append(shape("rect", { x: middle - 0.4 * each, width: 0.8 * each, y: y(count), height: HEIGHT - BOTTOM - y(count), class: "column" }));
        const share = 100 * count / times.n;
        svg.append(shape("text", { x: middle, y: y(count) - 4, "text-anchor": "middle" }, share < 1 ? "< 1 %" : (share > 99 && share < 100 ? "> 99" : share.toFixed(0)) + " %"));
      }
      if ((place - first) % every === 0) svg.append(shape("text", { x: middle, y: HEIGHT - 6, "text-anchor": "middle" }, label(place)));
    }
  });
}

// --- beginning ------------------------------------------------------------------------------------------------------

setInterval(watch, 500);
new ResizeObserver(() => { if (last !== null) plots(last); }).observe(byId("main"));
showPause();
follow();
pictures();
