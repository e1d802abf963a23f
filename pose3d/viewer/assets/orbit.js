// A camera that turns around a point, by mouse, fingers or from code.

const FIELD_OF_VIEW = (30 * Math.PI) / 180; // over the canvas' height
const NEAREST = 0.3; // metres
const FARTHEST = 200;
const LOWEST = 0.01; // radians above the floor
const STEEPEST = Math.PI / 2 - 0.001;
const MARGIN = 0.02; // of the canvas, left free on every side

class Orbit {
  constructor(canvas, box, changed) {
    this.canvas = canvas;
    this.box = box;
    this.changed = changed;
    this.touched = false; // by the user: then it is left alone when the window changes
    this.pointers = new Map();
    this.look(24, 14);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.release(event));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.zoom(Math.exp(clamp(event.deltaY * lines, -300, 300) * 0.0015));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => {
      this.touched = false;
      this.look(24, 14);
    });
  }

  get size() {
    return [Math.max(this.canvas.clientWidth, 1), Math.max(this.canvas.clientHeight, 1)];
  }

  // Degrees to the side and downwards; from where everything is seen.
  look(yaw, pitch) {
    this.yaw = (yaw * Math.PI) / 180;
    this.pitch = clamp((pitch * Math.PI) / 180, LOWEST, STEEPEST);
    this.fit();
  }

  fit() {
    const [low, high] = this.box;
    this.target = low.map((value, n) => (value + high[n]) / 2);
    const corners = [];
    for (let n = 0; n < 8; n++) corners.push([0, 1, 2].map((k) => this.box[(n >> k) & 1][k]));
    let near = 0.1;
    let far = FARTHEST;
    for (let n = 0; n < 40; n++) {
      this.distance = (near + far) / 2;
      const matrix = this.matrix();
      const inside = corners.every((corner) => {
        const [x, y, , w] = transformed(matrix, corner);
        return w > 0.1 && Math.max(Math.abs(x), Math.abs(y)) < (1 - 2 * MARGIN) * w;
      });
      if (inside) far = this.distance;
      else near = this.distance;
    }
    this.distance = far;
    this.changed();
  }

  get eye() {
    const level = Math.cos(this.pitch) * this.distance;
    return [
      this.target[0] + Math.sin(this.yaw) * level,
      this.target[1] + Math.sin(this.pitch) * this.distance,
      this.target[2] + Math.cos(this.yaw) * level,
    ];
  }

  matrix() {
    const [width, height] = this.size;
    const near = Math.max(0.02 * this.distance, 0.02);
    const lens = perspective(FIELD_OF_VIEW, width / height, near, this.distance + 500);
    return product(lens, lookAt(this.eye, this.target, [0, 1, 0]));
  }

  // Pixels from the canvas' upper left corner, or null behind the camera.
  project(point) {
    const [width, height] = this.size;
    const [x, y, , w] = transformed(this.matrix(), point);
    return w > 0 ? [((x / w + 1) / 2) * width, ((1 - y / w) / 2) * height] : null;
  }

  turn(dx, dy) {
    this.yaw -= dx * 0.008;
    this.pitch = clamp(this.pitch + dy * 0.008, LOWEST, STEEPEST);
    this.touched = true;
    this.changed();
  }

  pan(dx, dy) {
    const metres = (2 * this.distance * Math.tan(FIELD_OF_VIEW / 2)) / this.size[1];
    const right = [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
    const above = [
      -Math.sin(this.pitch) * Math.sin(this.yaw), Math.cos(this.pitch),
      -Math.sin(this.pitch) * Math.cos(this.yaw),
    ];
    this.target = this.target.map((v, n) => v + metres * (dy * above[n] - dx * right[n]));
    this.touched = true;
    this.changed();
  }

  zoom(factor) {
    this.distance = clamp(this.distance * factor, NEAREST, FARTHEST);
    this.touched = true;
    this.changed();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.classList.add("dragged");
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.canvas.classList.remove("dragged");
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (this.pointers.size === 1) {
      if (event.buttons & 6 || event.shiftKey || event.ctrlKey) this.pan(dx, dy);
      else this.turn(dx, dy);
    } else if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId);
      const apart = (p) => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]) || 1;
      this.zoom(apart(before) / apart(now));
      this.pan(dx / 2, dy / 2);
    }
    this.pointers.set(event.pointerId, now);
  }
}
