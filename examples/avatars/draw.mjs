// Draws the picture of an avatar from its attributes.

import * as avataaars from '@dicebear/avataaars';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';

const VIEW = '40 32 200 200'; // the head and the shoulders
const PIVOT = [140, 130]; // the face's centre, about which the avatar is tilted and sized

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
