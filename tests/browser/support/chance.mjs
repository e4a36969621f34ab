// Chance that can be repeated: a seed is printed with every run, and STORY_SEED sets it.

import { randomInt } from 'node:crypto';

export function chance(t) {
  const seed = Number(process.env.STORY_SEED ?? randomInt(2 ** 31));
  t.diagnostic(`STORY_SEED=${seed}`);
  let state = seed >>> 0;
  // mulberry32: enough to shuffle tabs.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
  const shuffled = (items) => {
    const order = [...items];
    for (let last = order.length - 1; last > 0; last -= 1) {
      const other = Math.floor(next() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  };
  return { shuffled };
}
