// Plays the server's sound with little delay, and an alarm of its own when it stops.

const STALL_MS = 2500; // without a packet
const ALARM_EVERY_MS = 4000;
const RATE_HZ = 48000;
const HEADER_BYTES = 8; // the number of the first frame

export class Player {
  constructor() {
    this.on = false;
    this.context = null;
    this.packetAt = 0;
    this.alarmAt = -ALARM_EVERY_MS;
  }

  async start(volume) {
    this.context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    this.gain = new GainNode(this.context, { gain: volume });
    this.gain.connect(this.context.destination);
    this.on = true;
    this.packetAt = performance.now();
    this.sink = await makeSink(this.context, this.gain);
    await this.context.resume();
    this.connect();
  }

  stop() {
    this.on = false;
    this.socket?.close();
    this.context.close();
  }

  volume(to) {
    this.gain?.gain.setTargetAtTime(to, this.context.currentTime, 0.02);
  }

  connect() {
    if (!this.on) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/listen`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (message) => {
      this.packetAt = performance.now();
      this.sink(message.data);
    };
    socket.onclose = () => setTimeout(() => this.connect(), 500);
    this.socket = socket;
  }

  paused() {
    return this.context.state !== "running";
  }

  stalled() {
    return performance.now() - this.packetAt > STALL_MS;
  }

  // Three falling notes that no theme has; again and again until the sound is back.
  alarm() {
    const now = performance.now();
    if (now - this.alarmAt < ALARM_EVERY_MS) return;
    this.alarmAt = now;
    this.context.resume();
    [880, 740, 587].forEach((hz, n) => {
      const begin = this.context.currentTime + 0.28 * n;
      const level = new GainNode(this.context, { gain: 0 });
      level.gain.setValueAtTime(0, begin);
      level.gain.linearRampToValueAtTime(0.2, begin + 0.02);
      level.gain.setTargetAtTime(0, begin + 0.16, 0.03);
      const tone = new OscillatorNode(this.context, { frequency: hz, type: "triangle" });
      tone.connect(level).connect(this.context.destination);
      tone.start(begin);
      tone.stop(begin + 0.4);
    });
  }
}

// Where the page came over plain HTTP from another machine, browsers withhold
// AudioWorklet; then packets are scheduled one after another, with more delay.
async function makeSink(context, output) {
  if (context.audioWorklet === undefined) return scheduling(context, output);
  await context.audioWorklet.addModule("/static/worklet.js");
  const node = new AudioWorkletNode(context, "peep-ring", {
    numberOfInputs: 0,
    outputChannelCount: [2],
  });
  node.connect(output);
  return (packet) => node.port.postMessage(packet, [packet]);
}

function scheduling(context, output) {
  const lead = 0.15;
  let next = 0;
  return (packet) => {
    const pcm = new Int16Array(packet, HEADER_BYTES);
    const buffer = new AudioBuffer({
      length: pcm.length / 2,
      numberOfChannels: 2,
      sampleRate: RATE_HZ,
    });
    for (let side = 0; side < 2; side++) {
      const channel = buffer.getChannelData(side);
      for (let n = 0; n < channel.length; n++) channel[n] = pcm[2 * n + side] / 32768;
    }
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(output);
    if (next < context.currentTime || next > context.currentTime + 4 * lead) {
      next = context.currentTime + lead;
    }
    source.start(next);
    next += buffer.duration;
  };
}
