// The 3D scene in WebGL2: limbs as capsules that get thinner, their shadows, the floor, trails.

const LIGHT = unit([0.35, 1, 0.55]); // towards it
const TRAIL_WIDTH = 0.03; // metres
const TRAIL_SECONDS = 12; // after which a trail has faded
const HEAD = [0.075, 0.095];
const DOUBT = 0.65; // how far the colour of limbs that were not seen is the floor's

// Radii in metres at a joint and at its parent, by the joint's index (Human3.6M order).
const RADII = {
  1: [0.06, 0.065], 2: [0.048, 0.065], 3: [0.034, 0.046], 4: [0.06, 0.065], 5: [0.048, 0.065],
  6: [0.034, 0.046], 7: [0.07, 0.075], 8: [0.05, 0.07], 9: [0.042, 0.046], 10: [0.085, 0.075],
  11: [0.045, 0.05], 12: [0.034, 0.044], 13: [0.026, 0.033], 14: [0.045, 0.05],
  15: [0.034, 0.044], 16: [0.026, 0.033],
};

const LIMB_VERTEX = `#version 300 es
uniform mat4 matrix;
uniform vec3 light;
uniform float flatten;
layout(location = 0) in vec4 place;  // on the unit sphere; w: which end
layout(location = 1) in vec4 from;   // w: radius
layout(location = 2) in vec4 to;
layout(location = 3) in vec3 colour;
out vec3 normal;
out vec3 point;
out vec3 tint;
void main() {
  vec3 along = to.xyz - from.xyz;
  float size = length(along);
  vec3 z = size > 1e-5 ? along / size : vec3(0, 1, 0);
  vec3 x = normalize(abs(z.y) < 0.9 ? cross(z, vec3(0, 1, 0)) : cross(z, vec3(1, 0, 0)));
  normal = mat3(x, cross(z, x), z) * place.xyz;
  vec4 end = mix(from, to, place.w);
  point = end.xyz + normal * end.w;
  if (flatten > 0.0) {
    float high = max(point.y, 0.0);
    point = vec3(point.x - light.x / light.y * high, 0.0, point.z - light.z / light.y * high);
  }
  tint = colour;
  gl_Position = matrix * vec4(point, 1);
}`;

const LIMB_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 light;
uniform vec3 eye;
uniform vec4 shade;
in vec3 normal;
in vec3 point;
in vec3 tint;
out vec4 result;
void main() {
  if (shade.a > 0.0) {
    result = vec4(shade.rgb * shade.a, shade.a);
    return;
  }
  vec3 n = normalize(normal);
  vec3 view = normalize(eye - point);
  vec3 base = pow(tint, vec3(2.2));
  float sky = 0.5 + 0.5 * n.y;
  float sun = max(dot(n, light), 0.0);
  float gloss = pow(max(dot(n, normalize(light + view)), 0.0), 40.0);
  float edge = pow(1.0 - max(dot(n, view), 0.0), 3.0);
  vec3 colour = base * (mix(0.28, 0.55, sky) + 0.62 * sun) + 0.12 * gloss + 0.1 * edge * sky;
  result = vec4(pow(colour, vec3(1.0 / 2.2)), 1);
}`;

const FLOOR_VERTEX = `#version 300 es
uniform mat4 matrix;
uniform vec4 area;  // middle x, z; half its size
out vec2 place;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  place = area.xy + corner * area.zw;
  gl_Position = matrix * vec4(place.x, 0, place.y, 1);
}`;

const FLOOR_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 area;
uniform vec3 ground;
uniform vec3 ink;
uniform vec3 haze;
in vec2 place;
out vec4 result;
float lines(vec2 at, float width) {
  vec2 pixel = fwidth(at);
  vec2 away = abs(fract(at - 0.5) - 0.5) / max(pixel, 1e-6);
  vec2 seen = clamp(width - away + 0.5, 0.0, 1.0) * (1.0 - smoothstep(0.15, 0.6, pixel));
  return max(seen.x, seen.y);
}
void main() {
  float far = length((place - area.xy) / area.zw);
  float line = max(0.55 * lines(place, 0.6), lines(place / 5.0, 1.1));
  vec3 colour = mix(ground, ink, line);
  result = vec4(mix(colour, haze, smoothstep(0.45, 1.0, far)), 1);
}`;

const TRAIL_VERTEX = `#version 300 es
uniform mat4 matrix;
uniform float width;
uniform float now;
uniform float lasting;
layout(location = 0) in vec3 from;  // x, z, time
layout(location = 1) in vec3 to;
out float fresh;
void main() {
  vec2 along = to.xy - from.xy;
  float size = length(along);
  vec2 z = size > 1e-6 ? along / size : vec2(1, 0);
  float side = float(gl_VertexID & 1) - 0.5;
  float end = float(gl_VertexID >> 1);
  vec2 at = mix(from.xy, to.xy, end) + width * side * vec2(-z.y, z.x);
  fresh = 1.0 - clamp((now - mix(from.z, to.z, end)) / lasting, 0.0, 1.0);
  // Nothing is drawn across a gap.
  bool whole = !(isnan(from.x) || isnan(to.x));
  gl_Position = whole ? matrix * vec4(at.x, 0, at.y, 1) : vec4(2, 2, 2, 1);
}`;

const TRAIL_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 colour;
in float fresh;
out vec4 result;
void main() {
  float strength = 0.1 + 0.75 * fresh;
  result = vec4(colour * strength, strength);
}`;

class Scene {
  constructor(canvas, recording) {
    const gl = canvas.getContext("webgl2", { antialias: true, stencil: true, alpha: false });
    if (!gl) throw new Error("no WebGL2");
    this.gl = gl;
    this.canvas = canvas;
    this.recording = recording;
    this.bones = recording.joints.bones;
    this.trails = true;
    this.restore();
  }

  // Put everything on the graphics card; again after it has been lost.
  restore() {
    const { gl } = this;
    this.limb = this.program(LIMB_VERTEX, LIMB_FRAGMENT);
    this.floor = this.program(FLOOR_VERTEX, FLOOR_FRAGMENT);
    this.trail = this.program(TRAIL_VERTEX, TRAIL_FRAGMENT);
    this.empty = gl.createVertexArray();
    this.capsules();
    this.paths = this.recording.people.map((person) => this.path(person));
  }

  program(vertex, fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getProgramInfoLog(program) || "shaders do not link");
    }
    const uniforms = {};
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) || 0;
    for (let n = 0; n < count; n++) {
      const { name } = gl.getActiveUniform(program, n);
      uniforms[name] = gl.getUniformLocation(program, name);
    }
    return { program, uniforms };
  }

  // A sphere cut at its equator: both halves move to the ends of a limb.
  capsules() {
    const { gl } = this;
    const around = 16;
    const rings = [];
    for (let n = 0; n <= 5; n++) rings.push([-Math.PI / 2 + (n * Math.PI) / 10, 0]);
    for (let n = 0; n <= 5; n++) rings.push([(n * Math.PI) / 10, 1]);
    const places = [];
    const triangles = [];
    rings.forEach(([angle, end], ring) => {
      for (let n = 0; n < around; n++) {
        const turn = (2 * Math.PI * n) / around;
        const out = Math.cos(angle);
        places.push(out * Math.cos(turn), out * Math.sin(turn), Math.sin(angle), end);
        if (ring === 0) continue;
        const [a, b] = [ring * around + n, ring * around + ((n + 1) % around)];
        triangles.push(a - around, b - around, a, b - around, b, a);
      }
    });
    this.corners = triangles.length;
    this.shape = gl.createVertexArray();
    gl.bindVertexArray(this.shape);
    this.buffer(gl.ARRAY_BUFFER, new Float32Array(places));
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 4, gl.FLOAT, false, 16, 0);
    this.buffer(gl.ELEMENT_ARRAY_BUFFER, new Uint16Array(triangles));
    this.limbs = this.buffer(gl.ARRAY_BUFFER, new Float32Array(0));
    [[1, 4, 0], [2, 4, 16], [3, 3, 32]].forEach(([at, size, offset]) => {
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, gl.FLOAT, false, 44, offset);
      gl.vertexAttribDivisor(at, 1);
    });
    gl.bindVertexArray(null);
  }

  buffer(kind, content) {
    const { gl } = this;
    const buffer = gl.createBuffer();
    gl.bindBuffer(kind, buffer);
    gl.bufferData(kind, content, gl.STATIC_DRAW);
    return buffer;
  }

  // Where somebody's hips went, on the floor.
  path(person) {
    if (!person.joints || person.rows < 2) return null;
    const { gl } = this;
    const content = new Float32Array(3 * person.rows);
    for (let row = 0; row < person.rows; row++) {
      const [x, , z] = jointAt(person, row, 0) || [NaN, NaN, NaN];
      content.set([x, z, this.recording.time[person.row + row]], 3 * row);
    }
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const buffer = this.buffer(gl.ARRAY_BUFFER, content);
    for (const at of [0, 1]) {
      gl.enableVertexAttribArray(at);
      gl.vertexAttribDivisor(at, 1);
    }
    gl.bindVertexArray(null);
    return { array, buffer };
  }

  // Limbs of everyone who is there and shown: two ends with radii, a colour, which is near the
  // floor's where they were not seen.
  figures(frame, floor) {
    const { recording } = this;
    const { people, joints, colours } = recording;
    const content = [];
    for (const person of people) {
      const row = person.visible ? rowOf(person, frame) : -1;
      if (row < 0) continue;
      for (const [joint, parent] of this.bones) {
        const [from, to] = [jointAt(person, row, parent), jointAt(person, row, joint)];
        if (!from || !to) continue;
        const sides = [joints.sides[joint], joints.sides[parent]];
        const side = sides.find((name) => name !== "middle");
        // As the pictures have it: what leads from the trunk to a side has the side's colour.
        const colour = side ? colours[side] : person.colour;
        const [thin, thick] = joint === 10 ? HEAD : RADII[joint];
        const sure = [joint, parent].every((n) => scoreOf(recording, person, row, n) >= recording.certain);
        const tint = colour.map((value, n) => (sure ? value / 255 : mix(value / 255, floor[n], DOUBT)));
        content.push(...from, thick, ...to, thin, ...tint);
      }
    }
    return new Float32Array(content);
  }

  // Resize to the element; gives whether there is anything to draw on.
  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    return width > 0 && height > 0;
  }

  draw(frame, orbit, theme) {
    const { gl } = this;
    if (!this.resize() || gl.isContextLost()) return;
    const matrix = orbit.matrix();
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...theme.haze, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    this.drawFloor(matrix, theme);
    if (this.trails) this.drawTrails(frame, matrix);
    const content = this.figures(frame, theme.floor);
    const count = content.length / 11;
    gl.bindVertexArray(this.shape);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.limbs);
    gl.bufferData(gl.ARRAY_BUFFER, content, gl.DYNAMIC_DRAW);
    const { program, uniforms } = this.limb;
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniforms.matrix, false, matrix);
    gl.uniform3fv(uniforms.light, LIGHT);
    gl.uniform3fv(uniforms.eye, orbit.eye);
    if (!count) return;
    // Shadows, each pixel once.
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 255);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.uniform1f(uniforms.flatten, 1);
    gl.uniform4f(uniforms.shade, ...theme.shade, 0.6);
    gl.drawElementsInstanced(gl.TRIANGLES, this.corners, gl.UNSIGNED_SHORT, 0, count);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.BLEND);
    gl.enable(gl.DEPTH_TEST);
    gl.uniform1f(uniforms.flatten, 0);
    gl.uniform4f(uniforms.shade, 0, 0, 0, 0);
    gl.drawElementsInstanced(gl.TRIANGLES, this.corners, gl.UNSIGNED_SHORT, 0, count);
    gl.disable(gl.DEPTH_TEST);
    gl.bindVertexArray(null);
  }

  drawFloor(matrix, theme) {
    const { gl } = this;
    const [low, high] = this.recording.box;
    const half = Math.max(high[0] - low[0], high[2] - low[2]) / 2 + 6;
    const { program, uniforms } = this.floor;
    gl.useProgram(program);
    gl.bindVertexArray(this.empty);
    gl.uniformMatrix4fv(uniforms.matrix, false, matrix);
    gl.uniform4f(uniforms.area, (low[0] + high[0]) / 2, (low[2] + high[2]) / 2, half, half);
    gl.uniform3fv(uniforms.ground, theme.floor);
    gl.uniform3fv(uniforms.ink, theme.line);
    gl.uniform3fv(uniforms.haze, theme.haze);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  drawTrails(frame, matrix) {
    const { gl } = this;
    const { people, time } = this.recording;
    const { program, uniforms } = this.trail;
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniforms.matrix, false, matrix);
    gl.uniform1f(uniforms.width, TRAIL_WIDTH);
    gl.uniform1f(uniforms.now, time[frame]);
    gl.uniform1f(uniforms.lasting, TRAIL_SECONDS);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    people.forEach((person, n) => {
      const path = this.paths[n];
      const count = Math.min(frame - person.row, person.rows - 1);
      if (!path || !person.visible || count < 1) return;
      const first = Math.max(frameAt(time, time[frame] - 5 * TRAIL_SECONDS) - person.row, 0);
      if (first >= count) return;
      gl.uniform3fv(uniforms.colour, person.colour.map((value) => value / 255));
      gl.bindVertexArray(path.array);
      gl.bindBuffer(gl.ARRAY_BUFFER, path.buffer);
      gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 12, 12 * first);
      gl.vertexAttribPointer(1, 3, gl.FLOAT, false, 12, 12 * (first + 1));
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count - first);
    });
    gl.disable(gl.BLEND);
    gl.bindVertexArray(null);
  }
}
