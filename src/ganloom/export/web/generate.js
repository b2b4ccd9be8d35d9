// Turn the latents of seeds into images with the ONNX model. Everything runs in this browser; nothing is sent or fetched.
"use strict";

const at = (id) => document.getElementById(id);

function bytes(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

const S = SETTINGS;
const LATENTS = new Float32Array(bytes(S.latents).buffer); // (seeds, z + code), as torch draws them
const WIDTH = S.z + S.code;
let session = null;
let busy = Promise.resolve();
let walking = 0;

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = bytes(ORT_BINARY).buffer;
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([ORT_MODULE], { type: "text/javascript" })) };
  session = await ort.InferenceSession.create(bytes(MODEL), { executionProviders: ["wasm"] });
}

function latent(seed) {
  const row = ((seed % S.seeds) + S.seeds) % S.seeds;
  return Array.from(LATENTS.subarray(row * WIDTH, (row + 1) * WIDTH));
}

// Set the codes that the controls choose. They are at the end of a latent: categories as one-hot, then continuous codes.
function coded(row) {
  let start = S.z;
  S.categories.forEach((count, i) => {
    const chosen = at(`category${i}`).value;
    if (chosen !== "") for (let k = 0; k < count; k++) row[start + k] = k === Number(chosen) ? 1 : 0;
    start += count;
  });
  for (let i = 0; i < S.continuous; i++) if (at(`set${i}`).checked) row[start + i] = Number(at(`code${i}`).value);
  return row;
}

// Compute images (n, C, H, W) in [-1, 1] from rows of z and code, and labels.
async function sample(rows, labels, truncation) {
  const n = rows.length;
  const feed = { z: new ort.Tensor("float32", Float32Array.from(rows.flatMap((r) => r.slice(0, S.z))), [n, S.z]) };
  if (S.code) feed.code = new ort.Tensor("float32", Float32Array.from(rows.flatMap((r) => r.slice(S.z))), [n, S.code]);
  if (S.classes.length) feed.c = new ort.Tensor("int64", BigInt64Array.from(labels.map(BigInt)), [n]);
  feed.truncation = new ort.Tensor("float32", Float32Array.of(truncation), []);
  for (const name of Object.keys(feed)) if (!session.inputNames.includes(name)) delete feed[name];
  return (await session.run(feed)).x;
}

// Compute the images of seed, seed + 1, ... as `ganloom sample` does. c null: the label that belongs to each seed.
async function generate(n, seed, truncation, c) {
  const seeds = Array.from({ length: n }, (_, i) => seed + i);
  const labels = seeds.map((s) => (c === null ? S.labels[s % S.seeds] : c));
  return sample(seeds.map((s) => coded(latent(s))), labels, truncation);
}

function paint(x, names) {
  const [n, channels, height, width] = x.dims;
  const scale = Math.max(1, Math.round(128 / width));
  const host = at("images");
  while (host.children.length > n) host.lastChild.remove();
  for (let i = 0; i < n; i++) {
    let canvas = host.children[i];
    if (!canvas) {
      canvas = host.appendChild(document.createElement("canvas"));
      canvas.setAttribute("role", "img");
      canvas.addEventListener("click", () => save(canvas));
    }
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${width * scale}px`;
    canvas.title = `${names[i]}: click to save`;
    canvas.setAttribute("aria-label", names[i]);
    canvas.dataset.name = names[i].replace(/\W+/g, "-");
    const image = new ImageData(width, height);
    const pixels = height * width;
    const value = (channel, k) => (x.data[(i * channels + channel) * pixels + k] + 1) * 127.5;
    for (let k = 0; k < pixels; k++) {
      for (let rgb = 0; rgb < 3; rgb++) image.data[4 * k + rgb] = Math.floor(value(channels > 2 ? rgb : 0, k) + 0.5);
      image.data[4 * k + 3] = channels === 2 || channels === 4 ? Math.floor(value(channels - 1, k) + 0.5) : 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
}

function save(canvas) {
  const link = document.createElement("a");
  link.download = `${canvas.dataset.name}.png`;
  link.href = canvas.toDataURL("image/png");
  link.click();
}

function controls() {
  const n = Math.min(64, Math.max(1, Number(at("n").value) || 1));
  const seed = Math.max(0, Math.floor(Number(at("seed").value) || 0));
  const c = S.classes.length && at("c").value !== "" ? Number(at("c").value) : null;
  return { n, seed, c, truncation: Number(at("truncation").value) };
}

function draw() {
  busy = busy.then(async () => {
    const { n, seed, c, truncation } = controls();
    const start = performance.now();
    const x = await generate(n, seed, truncation, c);
    paint(x, Array.from({ length: n }, (_, i) => `seed ${(seed + i) % S.seeds}`));
    at("status").textContent = `${n} images in ${Math.round(performance.now() - start)} ms`;
  });
  return busy.catch((error) => { at("status").textContent = `error: ${error.message}`; });
}

// Interpolate along the great circle from one seed's latent to the next one's.
function between(a, b, t) {
  const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  const sine = Math.sin(angle);
  const [p, q] = sine < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return a.map((value, i) => p * value + q * b[i]);
}

async function walk() {
  const current = ++walking;
  const from = controls().seed;
  for (let t = 0; current === walking; t += 0.05) {
    const { c, truncation } = controls();
    const step = Math.floor(t);
    const [a, b] = [latent(from + step), latent(from + step + 1)];
    const row = between(a.slice(0, S.z), b.slice(0, S.z), t - step).concat(latent(from).slice(S.z));
    const x = await sample([coded(row)], [c === null ? S.labels[from % S.seeds] : c], truncation);
    paint(x, [`seed ${(from + step) % S.seeds} to the next`]);
    await new Promise((next) => setTimeout(next, 30));
  }
}

function option(select, value, text) {
  const entry = select.appendChild(document.createElement("option"));
  entry.value = value;
  entry.textContent = text;
}

function prepare() {
  document.title = at("title").textContent = S.title;
  at("about").textContent = S.about;
  at("seed").max = S.seeds - 1;
  at("truncated").hidden = !session.inputNames.includes("truncation");
  at("labelled").hidden = !S.classes.length;
  option(at("c"), "", "as the seed");
  S.classes.forEach((name, i) => option(at("c"), i, name));
  S.categories.forEach((count, i) => {
    const label = at("codes").appendChild(document.createElement("label"));
    label.append(`category ${i + 1} `);
    const select = label.appendChild(document.createElement("select"));
    select.id = `category${i}`;
    option(select, "", "as the seed");
    for (let k = 0; k < count; k++) option(select, k, k);
  });
  for (let i = 0; i < S.continuous; i++) {
    const label = at("codes").appendChild(document.createElement("label"));
    label.innerHTML = `<input type="checkbox" id="set${i}"> code ${i + 1}
      <input type="range" id="code${i}" min="-2" max="2" step="0.1" value="0">`;
    label.addEventListener("input", (event) => { if (event.target.id === `code${i}`) at(`set${i}`).checked = true; });
  }
  at("controls").addEventListener("input", () => {
    at("psi").textContent = at("truncation").value;
    if (!walking || at("walk").getAttribute("aria-pressed") === "false") draw();
  });
  at("draw").addEventListener("click", () => {
    stop();
    at("seed").value = (controls().seed + controls().n) % S.seeds;
    draw();
  });
  at("walk").addEventListener("click", () => {
    if (at("walk").getAttribute("aria-pressed") === "true") return stop();
    at("walk").setAttribute("aria-pressed", "true");
    walk();
  });
}

function stop() {
  walking++;
  at("walk").setAttribute("aria-pressed", "false");
}

load().then(prepare).then(draw).catch((error) => { at("status").textContent = `error: ${error.message}`; });
