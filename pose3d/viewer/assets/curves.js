// Joint angles over time, with a cursor at the present.

const BAND = 92; // pixels a graph is high
const GUTTER = 42; // pixels left of the curves

class Curves {
  constructor(elements, recording, clock) {
    Object.assign(this, elements); // section, plot, canvas, cursor, readings, who, chips
    this.recording = recording;
    this.clock = clock;
    this.span = [clock.begin, Math.max(clock.end, clock.begin + recording.step)];
    this.stale = true;
    this.people = recording.people.filter((person) => Object.keys(person.angles).length);
    this.section.hidden = !this.people.length;
    if (!this.people.length) return;
    this.person = this.people[0];
    const families = new Set();
    for (const person of this.people) {
      for (const name of Object.keys(person.angles)) families.add(name.replace(/^(left|right)_/, ""));
    }
    this.families = [...families];
    const usual = ["knee_flexion", "hip_flexion"].filter((name) => families.has(name));
    this.chosen = new Set(usual.length ? usual : this.families.slice(0, 1));
    this.build();
  }

  build() {
    for (const person of this.people) this.who.append(new Option(`person ${person.id}`, person.id));
    this.who.hidden = this.people.length < 2;
    this.who.addEventListener("change", () => {
      this.person = this.people[this.who.selectedIndex];
      this.stale = true;
      this.clock.changed();
    });
    for (const family of this.families) {
      const chip = document.createElement("button");
      chip.textContent = family.replaceAll("_", " ");
      chip.dataset.angle = family;
      chip.setAttribute("aria-pressed", this.chosen.has(family));
      chip.addEventListener("click", () => {
        if (!this.chosen.delete(family)) this.chosen.add(family);
        chip.setAttribute("aria-pressed", this.chosen.has(family));
        this.stale = true;
        window.dispatchEvent(new Event("resize"));
      });
      this.chips.append(chip);
    }
    const seek = (event) => {
      const [begin, end] = this.span;
      const x = event.clientX - this.plot.getBoundingClientRect().left;
      this.clock.seek(begin + ((x - GUTTER) / this.width) * (end - begin));
    };
    this.plot.addEventListener("pointerdown", (event) => {
      this.plot.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.plot.addEventListener("pointermove", (event) => event.buttons & 1 && seek(event));
    this.plot.addEventListener("dblclick", () => this.show(this.clock.begin, this.clock.end));
    this.plot.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [begin, end] = this.span;
      const factor = Math.exp(clamp(event.deltaY, -300, 300) * 0.0015);
      const x = event.clientX - this.plot.getBoundingClientRect().left - GUTTER;
      const at = begin + clamp(x / this.width, 0, 1) * (end - begin);
      this.show(at + (begin - at) * factor, at + (end - at) * factor);
    }, { passive: false });
  }

  // Show a range of time, within the recording and not less than ten frames.
  show(begin, end) {
    const { clock, recording } = this;
    const whole = Math.max(clock.end - clock.begin, recording.step);
    const length = clamp(end - begin, Math.min(10 * recording.step, whole), whole);
    const from = clamp(begin, clock.begin, clock.begin + whole - length);
    this.span = [from, from + length];
    this.stale = true;
    clock.changed();
  }

  get width() {
    return Math.max(this.plot.clientWidth - GUTTER - 4, 1);
  }

  // The curves of a family: name, colour, values.
  members(family) {
    const { angles, colour } = this.person;
    const { colours } = this.recording;
    return [
      ["right", `right_${family}`, colours.right], ["left", `left_${family}`, colours.left],
      ["", family, colour],
    ].filter(([, name]) => angles[name]).map(([side, name, tint]) => [side, tint, angles[name]]);
  }

  draw(frame, theme) {
    if (this.section.hidden) return;
    const [begin, end] = this.span;
    const now = this.recording.time[frame];
    if (now < begin || now > end) {
      const length = end - begin;
      this.show(now - 0.1 * length, now + 0.9 * length);
    }
    const ratio = window.devicePixelRatio || 1;
    const families = this.families.filter((family) => this.chosen.has(family));
    const wide = Math.round(this.plot.clientWidth * ratio);
    if (this.stale || this.canvas.width !== wide || this.theme !== theme) {
      this.stale = false;
      this.theme = theme;
      this.canvas.style.height = `${BAND * families.length}px`;
      this.canvas.width = wide;
      this.canvas.height = Math.round(BAND * families.length * ratio);
      const context = this.canvas.getContext("2d");
      context.scale(ratio, ratio);
      this.readings.replaceChildren();
      this.lines = families.map((family, n) => {
        this.graph(context, family, n * BAND);
        const line = document.createElement("p");
        line.style.top = `${n * BAND + 3}px`;
        this.readings.append(line);
        return [family, line];
      });
    }
    const x = GUTTER + ((now - this.span[0]) / (this.span[1] - this.span[0])) * this.width;
    this.cursor.style.transform = `translateX(${x}px)`;
    this.cursor.hidden = !families.length;
    for (const [family, line] of this.lines) this.read(family, line, frame);
  }

  // The values at the cursor.
  read(family, line, frame) {
    const row = rowOf(this.person, frame);
    const parts = [`${family.replaceAll("_", " ")} `];
    for (const [side, tint, values] of this.members(family).reverse()) {
      const value = row < 0 ? NaN : values[row];
      const part = document.createElement("b");
      part.className = side;
      if (!side) part.style.color = this.theme.dark ? rgb(tint) : "";
      part.textContent = `${side} ${Number.isFinite(value) ? `${value.toFixed(0)}°` : "–"} `;
      parts.push(part);
    }
    line.replaceChildren(...parts);
  }

  graph(context, family, top) {
    const members = this.members(family);
    let [low, high] = [Infinity, -Infinity];
    for (const [, , values] of members) {
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (low > high) [low, high] = [0, 90];
    const step = [5, 10, 15, 30, 45, 90, 180].find((size) => (high - low) / size <= 3) || 180;
    low = Math.floor(low / step) * step;
    high = Math.max(Math.ceil(high / step) * step, low + step);
    const y = (value) => top + 8 + (1 - (value - low) / (high - low)) * (BAND - 16);
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (let value = low; value <= high; value += step) {
      context.strokeStyle = theme2d(this.theme.line, 0.5);
      context.beginPath();
      context.moveTo(GUTTER, Math.round(y(value)) + 0.5);
      context.lineTo(GUTTER + this.width, Math.round(y(value)) + 0.5);
      context.stroke();
      context.fillStyle = theme2d(this.theme.quiet, 1);
      context.fillText(`${value}°`, GUTTER - 5, y(value));
    }
    context.save();
    context.beginPath();
    context.rect(GUTTER, top, this.width, BAND);
    context.clip();
    this.shade(context, top);
    for (const [side, tint, values] of members) {
      context.strokeStyle = side ? theme2d(this.theme[side], 1) : theme2d(this.theme.dark ? tint.map((v) => v / 255) : this.theme.quiet, 1);
      context.lineWidth = 1.6;
      this.curve(context, values, y);
    }
    context.restore();
  }

  // A band where the person was hidden: there the curves are guesses.
  shade(context, top) {
    const { recording, person, width } = this;
    const { time } = recording;
    const [begin, end] = this.span;
    const x = (row) => GUTTER + ((time[person.row + row] - begin) / (end - begin)) * width;
    const last = person.rows - 1;
    context.fillStyle = theme2d(this.theme.line, 0.45);
    this.hidden ||= new Map();
    if (!this.hidden.has(person)) {
      const rows = Array.from({ length: person.rows }, (_, row) => hiddenIn(recording, person, row));
      this.hidden.set(person, rows);
    }
    const hidden = this.hidden.get(person);
    for (let row = 0; row <= last; row++) {
      if (!hidden[row]) continue;
      const first = row;
      while (row < last && hidden[row + 1]) row++;
      context.fillRect(x(first), top, Math.max(x(Math.min(row + 1, last)) - x(first), 1), BAND);
    }
  }

  // A curve; of many frames in one pixel the lowest and the highest, so that no peak is lost.
  curve(context, values, y) {
    const { time } = this.recording;
    const { person, width } = this;
    const [begin, end] = this.span;
    const first = Math.max(frameAt(time, begin) - person.row, 0);
    const last = Math.min(frameAt(time, end) + 1 - person.row, person.rows - 1);
    const x = (row) => GUTTER + ((time[person.row + row] - begin) / (end - begin)) * width;
    context.beginPath();
    let open = false;
    for (let row = first; row <= last; ) {
      let [low, high] = [values[row], values[row]];
      const pixel = Math.floor(x(row));
      const at = x(row);
      let whole = Number.isFinite(low);
      for (row++; row <= last && Math.floor(x(row)) === pixel; row++) {
        const value = values[row];
        if (!Number.isFinite(value)) whole = false;
        else if (!Number.isFinite(low)) low = high = value;
        else [low, high] = [Math.min(low, value), Math.max(high, value)];
      }
      if (Number.isFinite(low)) {
        if (open) context.lineTo(at, y(low));
        else context.moveTo(at, y(low));
        context.lineTo(high === low ? at + 0.01 : at, y(high));
      }
      open = whole;
    }
    context.stroke();
  }
}

const theme2d = (colour, alpha) =>
  `rgb(${colour.map((value) => Math.round(255 * value)).join(" ")} / ${alpha})`;
