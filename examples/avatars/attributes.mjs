// Draws the attributes of avatar number `index` of a seed.

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
