// Holds a few packets, so that the network may stumble, and plays them without steps.

const HEADER_BYTES = 8;
const RING = 32768; // frames; 0.68 s
const WANTED = 2880; // frames to begin with: 60 ms
const MOST = 9600; // behind by more than 200 ms is too late: on to what sounds now
const FADE = 128; // frames over which silence begins, and ends

class PeepRing extends AudioWorkletProcessor {
  constructor() {
    super();
    this.left = new Float32Array(RING);
    this.right = new Float32Array(RING);
    this.read = 0;
    this.written = 0;
    this.playing = false;
    this.late = false;
    this.gain = 0;
    this.last = [0, 0];
    this.port.onmessage = (message) => this.take(new Int16Array(message.data, HEADER_BYTES));
  }

  take(pcm) {
    for (let n = 0; n < pcm.length; n += 2) {
      const at = this.written++ % RING;
      this.left[at] = pcm[n] / 32768;
      this.right[at] = pcm[n + 1] / 32768;
    }
    const held = this.written - this.read;
    if (!this.playing && held >= WANTED) this.playing = true;
    if (held > MOST) this.late = true;
  }

  process(_inputs, [[left, right]]) {
    for (let n = 0; n < left.length; n++) {
      if (this.playing && this.read === this.written) this.playing = false;
      if (this.late && this.gain <= 0) {
        this.read = this.written - WANTED;
        this.late = false;
      }
      if (this.playing) {
        const at = this.read++ % RING;
        const goal = this.late ? -1 : 1; // what follows does not belong to what was
        this.gain = Math.min(1, Math.max(0, this.gain + goal / FADE));
        this.last = [this.left[at], this.right[at]];
      } else {
        this.gain = Math.max(0, this.gain - 1 / FADE);
      }
      left[n] = this.gain * this.last[0];
      right[n] = this.gain * this.last[1];
    }
    return true;
  }
}

registerProcessor("peep-ring", PeepRing);
