// Renders N labelled avatars: `node render.mjs FOLDER N [--seed 0] [--side 64]`.
//
// The folder gets `images.npy` [N, side, side, 3] of uint8, `categories.npy` [N, categories] of
// int8 (-1 where hidden), `factors.npy` [N, factors] of float32, and `options.json`, which names
// them. Avatar i is the same whatever N is.

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { attributes, codes, hidden } from './attributes.mjs';
import { picture } from './draw.mjs';

/** Writes an array in NumPy's format 1.0. */
function saveNpy(file, descr, shape, bytes) {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const size = Buffer.from([header.length & 255, header.length >> 8]);
  const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
  fs.writeFileSync(file, Buffer.concat([magic, size, Buffer.from(header, 'latin1'), bytes]));
}

function main(folder, count, seed, side) {
  const options = JSON.parse(fs.readFileSync(new URL('options.json', import.meta.url)));
  const categoryNames = Object.keys(options.categories);
  const factorNames = Object.keys(options.factors);
  const images = Buffer.alloc(count * side * side * 3);
  const categories = new Int8Array(count * categoryNames.length);
  const factors = new Float32Array(count * factorNames.length);
  for (let i = 0; i < count; i++) {
    const drawn = attributes(options, seed, i);
    const code = codes(options, drawn.categories);
    const pixels = picture(code, drawn.factors, side);
    for (let p = 0, q = i * side * side * 3; p < pixels.length; p += 4)
      for (let c = 0; c < 3; c++) images[q++] = pixels[p + c];
    const unseen = hidden(code);
    const seen = categoryNames.map((n) => (unseen.includes(n) ? -1 : drawn.categories[n]));
    categories.set(seen, i * categoryNames.length);
    const values = factorNames.map((n) => drawn.factors[n]);
    factors.set(values, i * factorNames.length);
    if ((i + 1) % 5000 === 0) console.log(`${i + 1} of ${count}`);
  }
  const save = (name, descr, shape, bytes) =>
    saveNpy(path.join(folder, name), descr, [count, ...shape], bytes);
  fs.mkdirSync(folder, { recursive: true });
  save('images.npy', '|u1', [side, side, 3], images);
  save('categories.npy', '|i1', [categoryNames.length], Buffer.from(categories.buffer));
  save('factors.npy', '<f4', [factorNames.length], Buffer.from(factors.buffer));
  fs.writeFileSync(path.join(folder, 'options.json'), JSON.stringify(options, null, 1));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '0' }, side: { type: 'string', default: '64' } },
});
const [count, seed, side] = [positionals[1], values.seed, values.side].map(Number);
if (positionals.length !== 2 || !(count > 0) || !(seed >= 0) || !(side > 0)) {
  console.error('usage: node render.mjs FOLDER N [--seed SEED] [--side PIXELS]');
  process.exit(2);
}
main(positionals[0], count, seed, side);
