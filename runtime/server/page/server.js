// What the page asks of the server it came from: models, gauges, answers as they come.

function headers(key) {
  return {'Content-Type': 'application/json', ...(key ? {Authorization: 'Bearer ' + key} : {})};
}

// What the server says is wrong, in its words where it has some.
async function failure(response) {
  const said = await response.json().catch(() => null);
  const error = new Error(said?.error?.message || 'The server answered with status ' + response.status);
  error.status = response.status;
  return error;
}

// [{id, max_model_len, ...}], as /v1/models lists them.
export async function listModels(key) {
  const response = await fetch('v1/models', {headers: headers(key)});
  if (!response.ok) throw await failure(response);
  return (await response.json()).data;
}

// The share of KV pages in use, by model, of Prometheus' text.
export async function kvUse() {
  const response = await fetch('metrics');
  if (!response.ok) throw await failure(response);
  const out = new Map();
  for (const [, labels, value] of (await response.text()).matchAll(/^[^#\s{]*:kv_cache_usage_perc\{([^\n]*)\} (\S+)$/gm))
    out.set(/model_name="((?:[^"\\]|\\.)*)"/.exec(labels)?.[1] ?? '', Number(value));
  return out;
}

// The events of one generation. Throws what the server says went wrong; a stream that ends too early is an error too.
export async function* generate(path, body, key, signal) {
  const response = await fetch(path, {method: 'POST', headers: headers(key), body: JSON.stringify(body), signal});
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new Error('The connection ended before the answer was complete');
    buffer += value;
    const events = buffer.split('\n\n');
    buffer = events.pop();
    for (const event of events) {
      const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
      if (data === '[DONE]') return;
      if (!data) continue;
      const parsed = JSON.parse(data);
      if (parsed.error) throw new Error(parsed.error.message);
      yield parsed;
    }
  }
}

// Tokens a second over the last three seconds.
export class Speed {
  #points = [];
  add(tokens, now = performance.now()) {
    this.#points.push([now, tokens]);
    while (this.#points.length > 2 && now - this.#points[0][0] > 3000) this.#points.shift();
  }
  get() {
    const first = this.#points[0], last = this.#points.at(-1);
    return first && last[0] > first[0] ? 1000 * (last[1] - first[1]) / (last[0] - first[0]) : NaN;
  }
}
