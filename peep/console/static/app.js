// The page: what sounds now, and a way to hear it. What came over the network is only
// ever set as text.
import { Player } from "./player.js";

const KEPT = 60; // rows of cues
const STALE_MS = 2500; // without a word from the server: it is gone, or cut off
const $ = (id) => document.getElementById(id);

const player = new Player();
let heardAt = performance.now();
let failure = null;
let fresh = true; // the first word of a connection brings all the last cues again

// ---- what sounds ------------------------------------------------------------------

function follow() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/now`);
  fresh = true;
  socket.onmessage = (message) => {
    heardAt = performance.now();
    show(JSON.parse(message.data));
  };
  socket.onclose = () => setTimeout(follow, 1000);
}

function show(now) {
  failure = now.failure ?? (now.age_s > 2 ? "the server makes no sound" : null);
  const agents = now.agents === 1 ? "1 agent" : `${now.agents} agents`;
  $("server").textContent = `${agents}, theme ${now.theme}, output ${now.output}`;
  const lufs = now.momentary_lufs;
  $("loudness").textContent = lufs === null ? "silent" : `${lufs.toFixed(0)} LUFS`;
  // From -60 to -12 LUFS: the bed in the middle, alerts near the end.
  const share = lufs === null ? 0 : Math.min(1, Math.max(0, (lufs + 60) / 48));
  $("level").style.width = `${100 * share}%`;
  $("layers").replaceChildren(...now.layers.map(layerRow));
  $("voices").textContent = now.voices.length
    ? `Sounding: ${counted(now.voices)}`
    : "No single sound at the moment.";
  $("held").hidden = now.held.length === 0;
  $("held").textContent = `In force: ${now.held.join(", ")}`;
  // What silences everything belongs where one looks for the sound.
  const silenced = now.held.some((one) => /^(mute|snooze) all\b/.test(one));
  $("muted").hidden = !silenced;
  if (now.cues.length) {
    $("none").hidden = true;
    if (fresh) $("cues").replaceChildren();
    $("cues").prepend(...now.cues.map(cueRow).reverse());
    while ($("cues").children.length > KEPT) $("cues").lastChild.remove();
  }
  fresh = false;
}

function counted(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, n]) => (n > 1 ? `${n} × ${name}` : name)).join(", ");
}

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function layerRow(layer) {
  const row = document.createElement("li");
  const bar = document.createElement("meter");
  bar.value = layer.value;
  bar.setAttribute("aria-label", `${layer.layer}, ${layer.name}`);
  const from = layer.host ? `${layer.name} on ${layer.host}` : layer.name;
  row.append(
    element("span", "layer", layer.layer),
    element("span", "value", `${Math.round(100 * layer.value)} %`),
    bar,
    element("span", "what", from),
  );
  return row;
}

function cueRow(cue) {
  const row = document.createElement("li");
  row.className = cue.tier;
  const when = new Date(1000 * cue.at);
  const time = element("time", "", when.toLocaleTimeString([], { hour12: false }));
  time.dateTime = when.toISOString();
  const more = cue.others ? ` and ${cue.others} more` : "";
  const times = cue.count > 1 ? ` × ${cue.count}` : "";
  const late = cue.late ? ", told late" : "";
  row.append(
    time,
    element("span", "name", `${cue.name}${times}${more}${late}`),
    element("span", "sound", cue.sound),
    element("span", "host", cue.host),
    element("span", "text", cue.text),
  );
  row.querySelector(".host").title = cue.host;
  return row;
}

// ---- listening --------------------------------------------------------------------

async function toggle() {
  if (player.on) player.stop();
  else await player.start($("volume").value / 100);
  $("listen").setAttribute("aria-pressed", String(player.on));
  $("listen").textContent = player.on ? "Stop" : "Listen";
  look();
}

// A dead monitor must not look, nor sound, like a calm night.
function trouble() {
  if (performance.now() - heardAt > STALE_MS) {
    const since = new Date(Date.now() - (performance.now() - heardAt));
    const at = since.toLocaleTimeString([], { hour12: false });
    return `The server is gone, or cut off, since ${at}. What stands below is old.`;
  }
  if (failure !== null) return `No sound: ${failure}`;
  if (player.on && player.paused()) return "The browser holds the sound back: press Stop, then Listen.";
  if (player.on && player.stalled()) return "The sound has stalled.";
  return null;
}

function look() {
  const what = trouble();
  $("alarm").hidden = what === null;
  document.body.classList.toggle("stale", performance.now() - heardAt > STALE_MS);
  if (what !== null && $("alarm").textContent !== what) $("alarm").textContent = what;
  document.title = what === null ? (player.on ? "Peep, listening" : "Peep") : "(!) Peep: no sound";
  if (what !== null && player.on) player.alarm();
}

$("listen").addEventListener("click", toggle);
$("volume").addEventListener("input", () => player.volume($("volume").value / 100));
setInterval(look, 500);
follow();
