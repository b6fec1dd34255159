// PPO's clipped objective for a single sample, without a page. Schulman et al. (2017), equation 7:
// min(r A, clip(r, 1 - epsilon, 1 + epsilon) A), where r is new over old probability of the action.

export const clip = (ratio, epsilon) => Math.min(Math.max(ratio, 1 - epsilon), 1 + epsilon);

// The two terms, the smaller one, which it is, and the objective's slopes.
export function sample(ratio, advantage, epsilon) {
  const plain = ratio * advantage, clipped = clip(ratio, epsilon) * advantage;
  const outside = Math.abs(ratio - 1) > epsilon;
  const flat = outside && clipped < plain;
  const slope = flat ? 0 : advantage; // by the ratio
  return {
    plain,
    clipped,
    value: Math.min(plain, clipped),
    active: plain === clipped ? "both" : clipped < plain ? "clipped" : "plain",
    outside, // counts for the clip fraction, whether it is flat or not
    slope,
    push: slope === 0 ? 0 : slope * ratio, // by the log-probability, which is what a network learns from
  };
}

// Where the objective is flat: from, to; null if nowhere.
export function flatRegion(advantage, epsilon, end) {
  if (advantage > 0) return [1 + epsilon, end];
  return advantage < 0 ? [0, 1 - epsilon] : null;
}
