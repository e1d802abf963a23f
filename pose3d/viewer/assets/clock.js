// What time it is: the video's while one plays, its own otherwise.

class Clock {
  constructor(recording, video, changed) {
    this.time = recording.time;
    this.begin = this.time[0];
    this.end = this.time[this.time.length - 1];
    this.step = recording.step;
    this.video = video; // or null
    this.offset = recording.video ? recording.video.begin : 0;
    this.changed = changed;
    this.t = this.begin;
    this.playing = false;
    this.loop = true;
    this.rate = 1;
    if (video) {
      video.addEventListener("loadedmetadata", () => this.aim());
      video.addEventListener("seeked", () => this.arrived());
      video.addEventListener("ended", () => this.playing && this.finish());
      this.listen();
    }
  }

  // Where the browser says which frame it shows, go by that.
  listen() {
    const { video } = this;
    if (!video.requestVideoFrameCallback) return;
    const heard = (_now, { mediaTime }) => {
      if (this.playing && !this.waiting) this.shown = mediaTime + this.offset;
      if (this.video) video.requestVideoFrameCallback(heard);
    };
    video.requestVideoFrameCallback(heard);
  }

  // For the video to arrive at t.
  get waiting() {
    return Boolean(this.video) && (this.video.readyState < 1 || this.video.seeking);
  }

  get frame() {
    return frameAt(this.time, this.t);
  }

  seek(t) {
    this.t = this.time[frameAt(this.time, clamp(t, this.begin, this.end))];
    this.shown = null;
    this.aim();
    this.changed();
  }

  stepBy(frames) {
    this.pause();
    this.seek(this.time[clamp(this.frame + frames, 0, this.time.length - 1)]);
  }

  // Send the video to t; while it is on its way, the last wish counts.
  aim() {
    const { video } = this;
    if (!video || this.waiting) return;
    this.wish = this.t;
    // A bit inside of the frame, so that rounding cannot give the one before it.
    video.currentTime = Math.max(this.t - this.offset + 0.25 * this.step, 0);
  }

  arrived() {
    if (this.wish !== this.t && !this.playing) this.aim();
    if (this.playing && this.video) this.video.play().catch(() => this.dropVideo());
  }

  play() {
    if (this.playing) return;
    if (this.frame === this.time.length - 1) this.seek(this.begin);
    this.playing = true;
    this.last = null;
    this.shown = null;
    if (this.video) {
      this.video.playbackRate = this.rate;
      if (!this.waiting) this.video.play().catch(() => this.dropVideo());
    }
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    if (this.video) this.video.pause();
    this.seek(this.t);
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
  }

  dropVideo() {
    this.video = null;
    this.changed();
  }

  // The end is reached.
  finish() {
    if (this.loop && this.time.length > 1) {
      this.seek(this.begin);
      return;
    }
    this.t = this.end;
    this.pause();
    this.changed();
  }

  // Go on; called before a picture is drawn.
  tick(now) {
    if (!this.playing) return;
    const passed = this.last === null ? 0 : (now - this.last) / 1000;
    this.last = now;
    if (this.video) {
      if (this.waiting) return;
      this.t = this.shown ?? this.video.currentTime + this.offset;
    } else {
      this.t += passed * this.rate;
    }
    if (this.t >= this.end + this.step / 2) this.finish();
  }
}
