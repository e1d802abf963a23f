// Puts the page together.

const $ = (id) => document.getElementById(id);

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => {
    const text = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((n) => parseInt(text.slice(n, n + 2), 16) / 255);
  };
  return {
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    haze: colour("void"), floor: colour("floor"), line: colour("line"), shade: colour("shade"),
    quiet: colour("quiet"), left: colour("left"), right: colour("right"),
  };
}

// The video element, ready to be used, or null.
function findVideo(recording) {
  const film = recording.video;
  if (!film) return null;
  const video = $("video");
  if (film.address !== null) {
    video.src = film.address;
  } else {
    const bytes = fromBase64($("film-data").textContent);
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  }
  $("film-data").remove();
  $("film").hidden = false;
  return video;
}

async function open() {
  const recording = await readRecording();
  $("arrays").remove();
  const { people, time } = recording;
  const video = findVideo(recording);
  let theme = readTheme();
  let due = false;
  // Everything that changes what is seen asks for a picture; there is one per refresh at most.
  const changed = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(picture);
  };

  const clock = new Clock(recording, video, changed);
  const orbit = new Orbit($("scene"), recording.box, changed);
  const overlay = new Overlay($("ink"), recording);
  const curves = new Curves({
    section: $("graphs"), plot: $("plot"), canvas: $("curves"), cursor: $("cursor"),
    readings: $("readings"), who: $("who"), chips: $("angles"),
  }, recording, clock);
  let scene = null;
  let following = false;
  let pictures = 0;

  const say = (words) => {
    $("note").textContent = words;
    $("note").hidden = !words;
  };
  try {
    scene = new Scene($("scene"), recording);
  } catch (error) {
    say(`The 3D scene cannot be drawn: this browser gives no WebGL2 (${error.message}).`);
  }
  if (scene && !people.length) say("Nobody was found in this video.");
  else if (scene && !people.some((person) => person.joints)) {
    say("Keypoints only: `pose3d lift` adds the third dimension.");
  }
  if (!recording.measured) $("ruler").textContent = "1 m squares, places are rough";
  $("scene").addEventListener("webglcontextlost", (event) => event.preventDefault());
  $("scene").addEventListener("webglcontextrestored", () => {
    scene.restore();
    changed();
  });

  const labels = people.map((person) => {
    const label = document.createElement("span");
    label.textContent = person.id;
    label.style.background = rgb(person.colour);
    $("names").append(label);
    return label;
  });

  function placeLabels(frame) {
    people.forEach((person, n) => {
      const row = person.visible ? rowOf(person, frame) : -1;
      const head = jointAt(person, row, 10);
      const at = head && orbit.project([head[0], head[1] + 0.2, head[2]]);
      labels[n].hidden = !at;
      if (at) {
        labels[n].style.transform = `translate(${at[0]}px, ${at[1]}px) translate(-50%, -100%)`;
      }
    });
  }

  function follow(frame) {
    const roots = people
      .filter((person) => person.visible)
      .map((person) => jointAt(person, rowOf(person, frame), 0))
      .filter((root) => root);
    if (!roots.length) return;
    for (const k of [0, 2]) {
      const middle = roots.reduce((sum, root) => sum + root[k], 0) / roots.length;
      orbit.target[k] += (clock.playing ? 0.2 : 1) * (middle - orbit.target[k]);
    }
  }

  const clockTime = (seconds) => {
    const minutes = Math.floor(seconds / 60);
    return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
  };

  function picture(now) {
    due = false;
    clock.tick(now);
    const { frame } = clock;
    if (following) follow(frame);
    if (scene) scene.draw(frame, orbit, theme);
    placeLabels(frame);
    if (clock.video && !$("film").hidden) overlay.draw(frame);
    curves.draw(frame, theme);
    $("scrubber").value = frame;
    $("scrubber").setAttribute("aria-valuetext", `${time[frame].toFixed(2)} seconds`);
    $("now").textContent =
      `${clockTime(time[frame])} / ${clockTime(clock.end)} · ${recording.firstFrame + frame}`;
    $("play").textContent = clock.playing ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    pictures++;
    if (clock.playing) changed();
  }

  // Controls.
  const toggle = () => (clock.playing ? clock.pause() : clock.play());
  const press = (button, on) => button.setAttribute("aria-pressed", on);
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => clock.stepBy(-1));
  $("next").addEventListener("click", () => clock.stepBy(1));
  $("scrubber").max = time.length - 1;
  $("scrubber").addEventListener("input", () => clock.seek(time[Number($("scrubber").value)]));
  $("speed").addEventListener("change", () => clock.setRate(Number($("speed").value)));

  function setLoop(on) {
    clock.loop = on;
    press($("loop"), on);
  }
  $("loop").addEventListener("click", () => setLoop(!clock.loop));

  function setTrail(on) {
    if (scene) scene.trails = on;
    press($("trail"), on);
    changed();
  }
  $("trail").addEventListener("click", () => setTrail(!scene?.trails));

  function setFollow(on) {
    following = on;
    press($("follow"), on);
    changed();
  }
  $("follow").addEventListener("click", () => setFollow(!following));

  function look(yaw, pitch) {
    setFollow(false);
    orbit.touched = false;
    orbit.look(yaw, pitch);
  }
  const views = { front: () => look(0, 8), side: () => look(90, 8), top: () => look(0, 90) };
  for (const [name, view] of Object.entries(views)) $(name).addEventListener("click", view);

  const buttons = people.map((person, n) => {
    const button = document.createElement("button");
    const dot = document.createElement("i");
    dot.style.background = rgb(person.colour);
    button.append(dot, String(person.id));
    button.title = `Show or hide person ${person.id}${n < 9 ? ` (${n + 1})` : ""}`;
    button.setAttribute("aria-label", `Person ${person.id}`);
    button.addEventListener("click", () => setVisible(n, !person.visible));
    $("people").append(button);
    press(button, true);
    return button;
  });

  function setVisible(n, on) {
    people[n].visible = on;
    press(buttons[n], on);
    changed();
  }

  function setSound(on) {
    if (!video) return;
    video.muted = !on;
    press($("sound"), on);
  }
  $("sound").addEventListener("click", () => setSound(video.muted));

  function showFilm(on) {
    if (!clock.video) return;
    $("film").hidden = !on;
    resized();
  }

  function showKeys() {
    $("keys").showModal();
    $("help").setAttribute("aria-expanded", true);
  }
  $("help").addEventListener("click", showKeys);
  $("keys").addEventListener("close", () => $("help").setAttribute("aria-expanded", false));

  function faster(by) {
    const { options, selectedIndex } = $("speed");
    $("speed").selectedIndex = clamp(selectedIndex + by, 0, options.length - 1);
    clock.setRate(Number($("speed").value));
  }

  const keys = {
    " ": toggle,
    Home: () => clock.seek(clock.begin),
    End: () => clock.seek(clock.end),
    ArrowUp: () => faster(1),
    ArrowDown: () => faster(-1),
    c: views.front, s: views.side, u: views.top,
    f: () => setFollow(!following),
    t: () => setTrail(!scene?.trails),
    l: () => setLoop(!clock.loop),
    v: () => showFilm($("film").hidden),
    m: () => setSound(video?.muted),
    "?": showKeys,
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    if (event.target.tagName === "SELECT") return;
    if (event.target.tagName === "BUTTON" && event.key === " ") return;
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const number = "123456789".indexOf(event.key);
    if (side) {
      if (event.shiftKey) clock.seek(clock.t + side);
      else clock.stepBy(side);
    } else if (number >= 0) {
      if (people[number]) setVisible(number, !people[number].visible);
    } else if (keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]) {
      keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  // A button that was clicked, not reached by keys, gives the space bar back to the player.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && document.activeElement?.tagName === "BUTTON") {
      document.activeElement.blur();
    }
  });

  if (video) {
    video.addEventListener("error", () => {
      clock.dropVideo();
      $("film-note").textContent =
        "The video is not where it was, or this browser cannot play it: the scene goes on alone.";
      $("film-note").hidden = false;
    });
    video.addEventListener("loadeddata", () => {
      $("sound").hidden = !recording.video.sound;
      changed();
    });
  }

  function resized() {
    if (!orbit.touched && !following) orbit.fit();
    curves.stale = true;
    changed();
  }
  window.addEventListener("resize", resized);
  new ResizeObserver(resized).observe($("stage"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme = readTheme();
    changed();
  });
  changed();

  // For tests, and whoever wants to steer the page from the console.
  const person = (id) => people.find((one) => one.id === id);
  return {
    get time() { return clock.t; },
    get frame() { return recording.firstFrame + clock.frame; },
    get playing() { return clock.playing; },
    get pictures() { return pictures; },
    get view() {
      return {
        eye: orbit.eye, target: [...orbit.target], fieldOfView: FIELD_OF_VIEW, size: orbit.size,
      };
    },
    begin: clock.begin,
    end: clock.end,
    play: () => clock.play(),
    pause: () => clock.pause(),
    // Resolves when the frame is drawn, and shown by the video.
    seek: (t) => new Promise((done, fail) => {
      const before = pictures;
      const since = performance.now();
      clock.seek(t);
      const wait = () => {
        const coming = clock.waiting || (clock.video && video.readyState < 2);
        if (!coming && pictures > before) done(clock.t);
        else if (performance.now() - since > 10_000) fail(new Error("the frame does not come"));
        else setTimeout(wait, 5);
      };
      wait();
    }),
    look,
    joint(id, joint) {
      return jointAt(person(id), rowOf(person(id), clock.frame), joint);
    },
    project(id, joint) {
      const at = this.joint(id, joint);
      return at && orbit.project(at);
    },
    angle(id, name) {
      const row = rowOf(person(id), clock.frame);
      return row < 0 ? null : person(id).angles[name][row];
    },
  };
}

const ready = open();
window.pose3d = { ready };
ready.then(
  (hook) => {
    window.pose3d = hook;
    hook.ready = ready;
  },
  (error) => {
    document.getElementById("note").hidden = false;
    document.getElementById("note").textContent = `This page cannot be shown: ${error.message}`;
  },
);
