// Draws avatar number `index` of a seed: its attributes, and its picture.

import * as avataaars from '@dicebear/avataaars';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';

const VIEW = '40 32 200 200'; // the head and the shoulders
const PIVOT = [140, 130]; // the face's centre, about which the avatar is tilted and sized

/** Returns a random generator of 32-bit numbers in [0, 1) that depends on seed and index only. */
function uniform(seed, index) {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca77);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns the position of one of the weighted choices `[name, code, weight]`. */
function pick(choices, random) {
  let left = random() * choices.reduce((sum, [, , weight]) => sum + weight, 0);
  return choices.findIndex(([, , weight]) => (left -= weight) < 0);
}

/** Draws the attributes: a position for each category, a number for each factor. */
export function attributes(options, seed, index) {
  const random = uniform(seed, index);
  const categories = {};
  const factors = {};
  for (const [name, choices] of Object.entries(options.categories))
    categories[name] = pick(choices, random);
  for (const [name, [low, high]] of Object.entries(options.factors))
    factors[name] = low + (high - low) * random();
  return { categories, factors };
}

/** Returns which categories cannot be seen: sunglasses hide eyes, a bald shaven head has no hair. */
export function hidden(codes) {
  return [
    ...(codes.glasses === 'sunglasses' ? ['eyes'] : []),
    ...(codes.hair === null && codes.beard === null ? ['hair colour'] : []),
  ];
}

/** Returns each category's code, the word that the design knows it by. */
export function codes(options, categories) {
  return Object.fromEntries(
    Object.entries(categories).map(([name, i]) => [name, options.categories[name][i][1]]),
  );
}

const part = (name, code) =>
  code === null ? { [`${name}Probability`]: 0 } : { [`${name}Probability`]: 100, [name]: [code] };

function pastel(hue) {
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (0.8 - 0.14 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return `rgb(${channel(0)}, ${channel(8)}, ${channel(4)})`;
}

/** Renders the avatar as RGBA bytes, `side` pixels wide. */
export function picture(code, factors, side) {
  const svg = createAvatar(avataaars, {
    seed: 'avatar',
    style: ['default'],
    ...part('top', code.hair),
    ...part('accessories', code.glasses),
    ...part('facialHair', code.beard),
    hairColor: [code['hair colour']],
    facialHairColor: [code['hair colour']],
    accessoriesColor: ['262e33'],
    skinColor: [code.skin],
    mouth: [code.mouth],
    eyes: [code.eyes],
    eyebrows: [code.brows],
    clothing: [code.clothes],
    clothesColor: [code['clothes colour']],
  }).toString();
  const [x, y] = PIVOT;
  const place =
    `translate(${x + factors.shift} ${y}) rotate(${factors.tilt}) ` +
    `scale(${factors.size}) translate(${-x} ${-y})`;
  const placed = svg
    .replace('viewBox="0 0 280 280"', `viewBox="${VIEW}"`)
    .replace(/(<svg[^>]*>)([^]*)(<\/svg>)/, `$1<g transform="${place}">$2</g>$3`);
  const fit = { fitTo: { mode: 'width', value: side } };
  return new Resvg(placed, { ...fit, background: pastel(factors['background hue']) }).render()
    .pixels;
}
