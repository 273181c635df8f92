// Weights ("./yunet.txt": licence), picture -> faces: app/render/yunet/.

const { floor, fround, max, min, sqrt } = Math;
const TOP = 4095;
const LEAST_SCORE = 0.6;
const MOST_SHARED = 0.45;
const MOST_FACES = 100;
const FARTHEST = 16;

onmessage = ({ data: { weights, picture } }) => postMessage(boxes(answers(reader(weights), picture)));

function reader(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  // A float16 is a float32 with less exponent.
  const half = () => {
    const bits = (view.getInt16((at += 2) - 2, true) << 13) & 0x8fffe000;
    return new Float32Array(Int32Array.of(bits).buffer)[0] * 2 ** 112;
  };
  return (filters, taps) => {
    const whole = new Int8Array(buffer, at, filters * taps);
    at += whole.length;
    const [scale, bias] = [0, 1].map(() => Array.from({ length: filters }, half));
    return { filters, whole, scale, bias };
  };
}

/** A row of products: two pixels and four filters at once. */
function multiply(values, from, columns, channels, weights, result, to, filters) {
  for (let f = 0; f < filters; f += 4) {
    for (let x = 0; x < columns; x += 2) {
      const next = min(x + 1, columns - 1);
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let i = from + x * channels, j = from + next * channels, k = f * channels, end = i + channels; i < end; i++, j++, k += 4) {
        const a = values[i], b = values[j];
        const w0 = weights[k], w1 = weights[k + 1], w2 = weights[k + 2], w3 = weights[k + 3];
        a0 += a * w0; a1 += a * w1; a2 += a * w2; a3 += a * w3;
        b0 += b * w0; b1 += b * w1; b2 += b * w2; b3 += b * w3;
      }
      let i = to + x * filters + f;
      result[i] = a0; result[i + 1] = a1; result[i + 2] = a2; result[i + 3] = a3;
      i = to + next * filters + f;
      result[i] = b0; result[i + 1] = b1; result[i + 2] = b2; result[i + 3] = b3;
    }
  }
}

/** A row of one channel's sums. */
function slide(product, i, row, filters, columns, [t0, t1, t2, t3, t4, t5, t6, t7, t8], offset, top, result, o) {
  let l0 = product[i], l1 = product[i + row], l2 = product[i + 2 * row];
  i += filters;
  let m0 = product[i], m1 = product[i + row], m2 = product[i + 2 * row];
  for (let x = 0; x < columns; x++) {
    i += filters;
    const r0 = product[i], r1 = product[i + row], r2 = product[i + 2 * row];
    let sum = fround(fround(t0 * l0) + fround(t1 * m0));
    sum = fround(sum + fround(t2 * r0));
    sum = fround(sum + fround(t3 * l1));
    sum = fround(sum + fround(t4 * m1));
    sum = fround(sum + fround(t5 * r1));
    sum = fround(sum + fround(t6 * l2));
    sum = fround(sum + fround(t7 * m2));
    sum = fround(sum + fround(t8 * r2));
    sum = fround(sum + offset);
    result[o] = top ? floor(min(max(sum, 0), top)) : sum;
    o += filters;
    l0 = m0; l1 = m1; l2 = m2;
    m0 = r0; m1 = r1; m2 = r2;
  }
}

/** Maps are rows of pixels of channels. */
function pair({ rows, columns, channels, values }, [point, depth], top = TOP) {
  const filters = (point.filters + 3) & ~3;
  const row = (columns + 2) * filters;
  const weights = new Float64Array(filters * channels);
  point.whole.forEach((weight, n) => {
    const f = floor(n / channels);
    weights[((f >> 2) * channels + (n % channels)) * 4 + (f & 3)] = weight;
  });
  const product = new Float32Array(row * (rows + 2));
  const outside = point.bias.map((bias, c) => (-256 * bias) / point.scale[c]);
  for (let i = 0; i < product.length; i += filters) product.set(outside, i);
  for (let y = 0; y < rows; y++) {
    multiply(values, y * columns * channels, columns, channels, weights, product, (y + 1) * row + filters, filters);
  }
  const result = new Float64Array(rows * columns * filters);
  depth.bias.forEach((bias, c) => {
    const whole = depth.whole.slice(9 * c, 9 * c + 9);
    const total = point.bias[c] * depth.scale[c] * whole.reduce((sum, weight) => sum + weight) + bias;
    const offset = fround(top ? 256 * total + 0.5 : total);
    const scale = (depth.scale[c] * point.scale[c]) / (top ? 1 : 256);
    const taps = Array.from(whole, (weight) => fround(weight * scale));
    for (let y = 0; y < rows; y++) {
      slide(product, y * row + c, row, filters, columns, taps, offset, top, result, y * columns * filters + c);
    }
  });
  return { rows, columns, channels: filters, values: result };
}

const placeOf = (n, columns, channels) => [floor(n / channels) % columns, floor(n / channels / columns), n % channels];

/** 3 x 3 pixels around every second one. */
function gathered({ width, height, data }) {
  const [columns, rows] = [width, height].map((side) => 16 * Math.ceil(side / 32));
  const values = new Float64Array(rows * columns * 27);
  for (let n = 0; n < rows * columns * 9; n++) {
    const [across, down, tap] = placeOf(n, columns, 9);
    const x = 2 * across + (tap % 3) - 1, y = 2 * down + floor(tap / 3) - 1;
    for (let c = 0; c < 3; c++) {
      if (x >= 0 && y >= 0 && x < width && y < height) values[3 * n + c] = data[4 * (y * width + x) + 2 - c];
    }
  }
  return { rows, columns, channels: 27, values };
}

function pooled({ rows, columns, channels, values }) {
  const row = columns * channels;
  const half = new Float64Array(values.length / 4).map((_, n) => {
    const [x, y, c] = placeOf(n, columns / 2, channels);
    const i = 2 * (y * row + x * channels) + c;
    return max(values[i], values[i + channels], values[i + row], values[i + row + channels]);
  });
  return { rows: rows / 2, columns: columns / 2, channels, values: half };
}

function added({ rows, columns, channels, values }, coarse) {
  const sums = values.map((value, n) => {
    const [x, y, c] = placeOf(n, columns, channels);
    return min(value + coarse.values[((y >> 1) * coarse.columns + (x >> 1)) * channels + c], TOP);
  });
  return { rows, columns, channels, values: sums };
}

function answers(layer, picture) {
  const pairs = (...channels) => channels.slice(1).map((filters, n) => [layer(filters, channels[n]), layer(filters, 9)]);
  const run = (map, those) => those.reduce((from, one) => pair(from, one), map);
  // The first layer stands alone.
  const first = layer(16, 27);
  const whole = new Int8Array(144).map((_, n) => n % 9 === 4);
  const none = { whole, scale: first.scale.map(() => 256), bias: first.bias.map((bias) => -255 * bias) };
  let map = pair(gathered(picture), [first, none]);
  map = pooled(run(map, pairs(16, 16)));
  map = pooled(run(map, pairs(16, 16, 32, 32, 64)));
  const fine = run(map, pairs(64, 64, 64));
  const middle = run(pooled(fine), pairs(64, 64, 64));
  const coarse = run(pooled(middle), pairs(64, 64, 64));
  const neck = pairs(64, 64, 64, 64);
  const third = pair(coarse, neck[2]);
  const second = pair(added(middle, third), neck[1]);
  const maps = [pair(added(fine, second), neck[0]), second, third];
  return [1, 4, 1].map((filters) => maps.map((map) => pair(map, pairs(64, filters)[0], 0)));
}

function boxes([kinds, places, objects]) {
  const found = [];
  kinds.forEach(({ values, columns }, n) => {
    for (let i = 0; i < values.length; i += 4) {
      const score = sqrt(sigmoid(values[i]) * sigmoid(objects[n].values[i]));
      if (!(score >= LEAST_SCORE)) continue;
      const stride = 8 << n;
      const [across, down, ...sides] = places[n].values.slice(i, i + 4).map(within);
      const [width, height] = sides.map((side) => exp(side) * stride);
      const x = (across + ((i / 4) % columns)) * stride - width / 2;
      const y = (down + floor(i / 4 / columns)) * stride - height / 2;
      found.push({ x, y, width, height, score });
    }
  });
  const kept = [];
  for (const face of found.sort((one, other) => other.score - one.score)) {
    if (kept.every((other) => shared(other, face) <= MOST_SHARED)) kept.push(face);
  }
  return kept.slice(0, MOST_FACES);
}

const within = (value) => min(max(value, -FARTHEST), FARTHEST);
const sigmoid = (value) => 1 / (1 + exp(-within(value)));

function exp(value) {
  const r = value / 1024;
  let result = 1 + r * (1 + (r / 2) * (1 + r / 3));
  for (let n = 1024; n > 1; n /= 2) result *= result;
  return result;
}

function shared(one, other) {
  const width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x);
  const height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y);
  const both = max(width, 0) * max(height, 0);
  return both / (one.width * one.height + other.width * other.height - both);
}
