// What the page holds: facts as JSON, arrays as pose3d/viewer/pack.py packs them.

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let n = 0; n < raw.length; n++) bytes[n] = raw.charCodeAt(n);
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Float32Array of rows x width, NaN where missing.
function unpacked(bytes, { at, rows, width, offset, scale }) {
  const out = new Float32Array(rows * width);
  const high = at + rows * width;
  for (let column = 0; column < width; column++) {
    let whole = 0;
    for (let row = 0; row < rows; row++) {
      const n = column * rows + row;
      whole = ((whole + (bytes[at + n] | (bytes[high + n] << 8))) << 16) >> 16;
      out[row * width + column] = whole === -32768 ? NaN : offset + scale * whole;
    }
  }
  return out;
}

async function readRecording() {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const bytes = await inflated(fromBase64(document.getElementById("arrays").textContent));
  const { at, rows } = facts.time;
  const time = new Float64Array(bytes.slice(at, at + 8 * rows).buffer);
  const people = facts.people.map((person) => {
    const angles = {};
    for (const [name, spec] of Object.entries(person.angles)) angles[name] = unpacked(bytes, spec);
    return {
      ...person,
      angles,
      visible: true,
      keypoints: unpacked(bytes, person.keypoints),
      score: unpacked(bytes, person.score),
      joints: person.joints ? unpacked(bytes, person.joints) : null,
    };
  });
  return { ...facts, time, people };
}

// The last frame whose time is not after t.
function frameAt(time, t) {
  let low = 0;
  let high = time.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (time[middle] <= t + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

// A person's row in a frame, -1 where they are not there.
function rowOf(person, frame) {
  const row = frame - person.row;
  return row >= 0 && row < person.rows ? row : -1;
}

// A joint (x, y, z) of a person in a row, or null.
function jointAt(person, row, joint) {
  if (!person.joints || row < 0) return null;
  const n = 3 * (17 * row + joint);
  const [x, y, z] = person.joints.subarray(n, n + 3);
  return Number.isFinite(x + y + z) ? [x, y, z] : null;
}

// The score of a joint in a row: the mean of the keypoints that it is seen by.
function scoreOf(recording, person, row, joint) {
  const seen = recording.seenBy[joint];
  return seen.reduce((sum, n) => sum + (person.score[17 * row + n] || 0), 0) / seen.length;
}

// Whether somebody was hidden in a row, so that the pose is a guess.
function hiddenIn(recording, person, row) {
  const joints = recording.seenBy.map((_, joint) => scoreOf(recording, person, row, joint));
  return joints.reduce((sum, score) => sum + score, 0) / joints.length < recording.certain;
}

const rgb = (colour) => `rgb(${colour.join(" ")})`;
