// Keypoints on the video, in the same colours.

class Overlay {
  constructor(canvas, recording) {
    this.canvas = canvas;
    this.recording = recording;
    this.context = canvas.getContext("2d");
  }

  draw(frame) {
    const { canvas, context, recording } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const [w, h] = recording.size;
    const scale = Math.min(width / w, height / h);
    context.setTransform(
      scale * ratio, 0, 0, scale * ratio,
      ((width - w * scale) / 2) * ratio, ((height - h * scale) / 2) * ratio,
    );
    for (const person of recording.people) {
      const row = person.visible ? rowOf(person, frame) : -1;
      if (row >= 0) this.person(person, row, 1 / scale);
    }
  }

  person(person, row, pixel) {
    const { context, recording } = this;
    const { bones, sides } = recording.keypoints;
    const point = (joint) => {
      const n = 2 * (17 * row + joint);
      const score = person.score[17 * row + joint];
      const [x, y] = [person.keypoints[n], person.keypoints[n + 1]];
      return score >= recording.least && Number.isFinite(x + y) ? [x, y, score] : null;
    };
    context.lineCap = "round";
    let top = null;
    for (const [a, b] of bones) {
      const [p, q] = [point(a), point(b)];
      if (!p || !q) continue;
      const named = new Set([sides[a], sides[b]].filter((name) => name !== "middle"));
      const side = named.size === 1 ? [...named][0] : null;
      const certain = Math.min(p[2], q[2]) >= recording.certain;
      context.globalAlpha = certain ? 0.95 : 0.5;
      const strokes = [["rgb(16 18 22)", 5], [rgb(side ? recording.colours[side] : person.colour), 3]];
      for (const [style, wide] of certain ? strokes : strokes.slice(1)) {
        context.strokeStyle = style;
        context.lineWidth = (certain ? wide : wide / 1.5) * pixel;
        context.beginPath();
        context.moveTo(p[0], p[1]);
        context.lineTo(q[0], q[1]);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    for (let joint = 0; joint < sides.length; joint++) {
      const p = point(joint);
      if (p && (!top || p[1] < top[1])) top = p;
    }
    if (!top) return;
    context.font = `600 ${14 * pixel}px system-ui, sans-serif`;
    context.textAlign = "center";
    const words = String(person.id);
    const wide = context.measureText(words).width + 10 * pixel;
    const y = Math.max(top[1] - 16 * pixel, 20 * pixel);
    context.fillStyle = rgb(person.colour);
    context.fillRect(top[0] - wide / 2, y - 18 * pixel, wide, 20 * pixel);
    context.fillStyle = "rgb(16 18 22)";
    context.fillText(words, top[0], y - 3 * pixel);
  }
}
