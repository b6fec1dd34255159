// Why a maximum over guesses is too high: Q-learning and Double Q-learning on two decisions, without
// a page. Sutton & Barto (2018), example 6.7. From A, right ends the episode with reward 0; left leads
// to B, where each of many actions ends it with a reward drawn from a normal distribution.
import { greedyActions, random } from "./cliff-core.js";

export const A = 0, B = 1, END = 2, RIGHT = 0, LEFT = 1;

const largest = (q) => Math.max(...q);

// Q[obs][action] moves towards reward + gamma * max Q[nextObs].
export function qUpdate(Q, { obs, action, reward, nextObs, terminated }, { alpha, gamma }) {
  const future = terminated ? 0 : largest(Q[nextObs]);
  Q[obs][action] += alpha * (reward + gamma * future - Q[obs][action]);
}

// The table that learns picks the next action, the other says what it is worth.
export function doubleUpdate(learner, judge, { obs, action, reward, nextObs, terminated }, { alpha, gamma }) {
  const choice = learner[nextObs].indexOf(largest(learner[nextObs]));
  const future = terminated ? 0 : judge[nextObs][choice];
  learner[obs][action] += alpha * (reward + gamma * future - learner[obs][action]);
}

const table = (actions) => [[0, 0], Array(actions).fill(0), [0]];

export function normal(next) { // Box and Muller
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

// Share of runs that go left from A, by episode.
export function leftByEpisode(isDouble, { actions, mean, alpha, epsilon, episodes, runs, seed }) {
  const share = new Float64Array(episodes), next = random(seed), knobs = { alpha, gamma: 1 };
  const pick = (q) => {
    if (next() < epsilon) return Math.floor(next() * q.length);
    const best = greedyActions(q);
    return best[Math.floor(next() * best.length)];
  };
  for (let run = 0; run < runs; run++) {
    const first = table(actions), second = isDouble ? table(actions) : null;
    const acting = (obs) => (second ? first[obs].map((v, a) => v + second[obs][a]) : first[obs]);
    const learn = (transition) => {
      if (!second) qUpdate(first, transition, knobs);
      else if (next() < 0.5) doubleUpdate(first, second, transition, knobs);
      else doubleUpdate(second, first, transition, knobs);
    };
    for (let episode = 0; episode < episodes; episode++) {
      const action = pick(acting(A));
      if (action === RIGHT) {
        learn({ obs: A, action, reward: 0, nextObs: END, terminated: true });
        continue;
      }
      share[episode] += 1 / runs;
      learn({ obs: A, action, reward: 0, nextObs: B, terminated: false });
      const reward = mean + normal(next);
      learn({ obs: B, action: pick(acting(B)), reward, nextObs: END, terminated: true });
    }
  }
  return share;
}
