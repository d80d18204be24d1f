// The chat page: one conversation, streamed from the server that it came from. No markup is ever made from the model's
// text; nodes are.
'use strict';

const $ = (id) => document.getElementById(id);
let messages = [];     // {role, content}
let running = null;    // AbortController of the answer that is coming

// ---- markdown ----------------------------------------------------------------------------------------------------

function element(tag, ...children) {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
}

// `code`, **bold**, *slanted*, [text](https://address)
function inline(text) {
  const nodes = [];
  const pattern = /(`+)([^]*?)\1|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    nodes.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] !== undefined) nodes.push(element('code', match[2]));
    else if (match[3] !== undefined) nodes.push(element('strong', match[3]));
    else if (match[4] !== undefined) nodes.push(element('em', match[4]));
    else {
      const link = element('a', match[5]);
      link.href = match[6];
      link.rel = 'noreferrer noopener';
      link.target = '_blank';
      nodes.push(link);
    }
  }
  nodes.push(text.slice(at));
  return nodes;
}

function codeBlock(lines, language) {
  const code = element('code', lines.join('\n'));
  const copy = element('button', 'Copy');
  copy.type = 'button';
  copy.addEventListener('click', () => navigator.clipboard.writeText(code.textContent).then(() => say('Copied')));
  const block = element('pre', code);
  block.setAttribute('aria-label', language ? language + ' code' : 'code');
  block.tabIndex = 0;
  return element('div', block, copy);
}

function table(rows) {
  const cells = (row) => row.replace(/^\s*\||\|\s*$/g, '').split('|');
  const head = element('tr', ...cells(rows[0]).map((c) => element('th', ...inline(c.trim()))));
  const rest = rows.slice(2).map((r) => element('tr', ...cells(r).map((c) => element('td', ...inline(c.trim())))));
  return element('table', element('thead', head), element('tbody', ...rest));
}

function list(lines, ordered) {
  const items = lines.map((l) => element('li', ...inline(l.replace(/^\s*([-*+]|\d+[.)])\s+/, ''))));
  return element(ordered ? 'ol' : 'ul', ...items);
}

// Blocks, line by line; what begins none is a paragraph.
function markdown(text) {
  const out = [];
  const lines = text.split('\n');
  const take = (i, test) => {
    let end = i;
    while (end < lines.length && test(lines[end])) ++end;
    return lines.slice(i, end);
  };
  const bullet = (l) => /^\s*[-*+]\s+/.test(l), number = (l) => /^\s*\d+[.)]\s+/.test(l);
  const special = (l) => /^(```|#{1,6}\s|>)/.test(l) || bullet(l) || number(l) || !l.trim();
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    if (line.startsWith('```')) {
      const body = take(i + 1, (l) => !l.startsWith('```'));
      out.push(codeBlock(body, line.slice(3).trim()));
      i += body.length + 2;
    } else if (/^#{1,6}\s/.test(line)) {
      const level = Math.min(6, 2 + line.match(/^#+/)[0].length); // h1 and h2 are the page's
      out.push(element('h' + level, ...inline(line.replace(/^#+\s*/, ''))));
      ++i;
    } else if (line.startsWith('>')) {
      const body = take(i, (l) => l.startsWith('>'));
      out.push(element('blockquote', ...inline(body.map((l) => l.replace(/^>\s?/, '')).join('\n'))));
      i += body.length;
    } else if (bullet(line) || number(line)) {
      const body = take(i, bullet(line) ? bullet : number);
      out.push(list(body, number(line)));
      i += body.length;
    } else if (line.includes('|') && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(lines[i + 1] || '')) {
      const body = take(i, (l) => l.includes('|'));
      out.push(table(body));
      i += body.length;
    } else if (!line.trim()) {
      ++i;
    } else {
      const body = take(i, (l) => !special(l));
      out.push(element('p', ...inline(body.join('\n'))));
      i += body.length;
    }
  }
  return out;
}

// ---- the conversation ---------------------------------------------------------------------------------------------

function say(text, bad) {
  $('status').textContent = text;
  $('status').classList.toggle('bad', !!bad);
}

function button(label, action) {
  const node = element('button', label);
  node.type = 'button';
  node.addEventListener('click', action);
  return node;
}

function showText(node, message) {
  if (message.role === 'assistant') {
    node.className = 'text';
    node.replaceChildren(...markdown(message.content));
  } else {
    node.className = 'text plain';
    node.textContent = message.content;
  }
}

function edit(index, article) {
  const box = element('textarea');
  box.value = messages[index].content;
  box.rows = Math.min(12, box.value.split('\n').length + 1);
  box.setAttribute('aria-label', 'Edit the message');
  const done = () => {
    messages = messages.slice(0, index + 1);
    messages[index].content = box.value;
    render();
    if (messages[index].role === 'user') answer();
  };
  article.replaceChildren(box, button('Save', done), button('Cancel', render));
  box.focus();
}

function show(message, index) {
  const text = element('div');
  showText(text, message);
  const actions = element('div');
  actions.className = 'actions';
  const article = element('article', element('h2', message.role), text, actions);
  article.className = 'message ' + message.role;
  actions.append(button('Edit', () => edit(index, article)));
  actions.append(button('Copy', () => navigator.clipboard.writeText(message.content).then(() => say('Copied'))));
  if (message.role === 'assistant') actions.append(button('Retry', () => retry(index)));
  return {article, text};
}

function render() {
  $('log').replaceChildren(...messages.map((m, i) => show(m, i).article));
  $('log').scrollTop = $('log').scrollHeight;
}

function retry(index) {
  if (running) return;
  messages = messages.slice(0, index);
  render();
  answer();
}

// ---- asking --------------------------------------------------------------------------------------------------------

function headers() {
  const out = {'Content-Type': 'application/json'};
  if ($('key').value) out.Authorization = 'Bearer ' + $('key').value;
  return out;
}

function body() {
  const out = {model: $('model').value, stream: true, stream_options: {include_usage: true}};
  for (const name of ['temperature', 'top_p', 'top_k', 'max_tokens', 'seed'])
    if ($(name).value !== '') out[name] = Number($(name).value);
  if ($('mode').value === 'text') {
    out.prompt = messages.map((m) => m.content).join('');
    if (out.max_tokens === undefined) out.max_tokens = 256;
    return out;
  }
  const system = $('system').value.trim();
  out.messages = (system ? [{role: 'system', content: system}] : []).concat(messages);
  return out;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    buffer += value;
    let end;
    while ((end = buffer.indexOf('\n\n')) >= 0) {
      const data = buffer.slice(0, end).replace(/^data: /, '');
      buffer = buffer.slice(end + 2);
      if (data !== '[DONE]') yield JSON.parse(data);
    }
  }
}

function busy(on) {
  $('send').hidden = on;
  $('stop').hidden = !on;
  $('log').setAttribute('aria-busy', String(on));
}

async function stream(message, text) {
  const path = $('mode').value === 'text' ? 'v1/completions' : 'v1/chat/completions';
  const response = await fetch(path,
    {method: 'POST', headers: headers(), body: JSON.stringify(body()), signal: running.signal});
  if (!response.ok) {
    const error = await response.json().catch(() => null);
    throw new Error(error && error.error ? error.error.message : 'The server answered ' + response.status);
  }
  messages.push(message);
  let first = 0, chunks = 0;
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    const choice = event.choices[0];
    if (choice) {
      message.content += (choice.delta ? choice.delta.content : choice.text) || '';
      const now = performance.now();
      if (!chunks++) first = now;
      else $('speed').textContent = (1000 * (chunks - 1) / (now - first)).toFixed(1) + ' tokens/s';
      const log = $('log'), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      showText(text, message);
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
    if (event.usage) say(event.usage.prompt_tokens + ' tokens in, ' + event.usage.completion_tokens + ' out');
  }
}

async function answer() {
  if (running) return;
  running = new AbortController();
  busy(true);
  say('…');
  const message = {role: 'assistant', content: ''};
  const shown = show(message, messages.length);
  $('log').append(shown.article);
  try {
    await stream(message, shown.text);
  } catch (error) {
    if (error.name === 'AbortError') say('Stopped');
    else say(error.message, true);
  }
  running = null;
  busy(false);
  render();
  $('input').focus();
}

function send(event) {
  event.preventDefault();
  const content = $('input').value;
  if (running || !content.trim()) return;
  messages.push({role: 'user', content});
  $('input').value = '';
  render();
  answer();
}

// ---- models and gauges ----------------------------------------------------------------------------------------------

async function loadModels() {
  try {
    const response = await fetch('v1/models', {headers: headers()});
    if (response.status === 401) {
      $('settings').hidden = false;
      return say('The server wants its API key: see Settings', true);
    }
    const list = (await response.json()).data;
    $('model').replaceChildren(...list.map((m) => new Option(m.id, m.id)));
    say('');
  } catch (error) {
    say('The server does not answer: ' + error.message, true);
  }
}

async function loadGauges() {
  if (document.hidden) return;
  try {
    const text = await (await fetch('metrics')).text();
    const values = [...text.matchAll(/^[^#\s]*:kv_cache_usage_perc\S* (\S+)$/gm)].map((m) => Number(m[1]));
    if (values.length) $('cache').textContent = 'KV ' + (100 * Math.max(...values)).toFixed(1) + '%';
  } catch (error) {
    $('cache').textContent = 'KV –';
  }
}

$('form').addEventListener('submit', send);
$('input').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && running) running.abort();
});
$('stop').addEventListener('click', () => running && running.abort());
$('clear').addEventListener('click', () => {
  if (running) running.abort();
  messages = [];
  render();
  say('');
  $('input').focus();
});
$('toggle-settings').addEventListener('click', () => {
  $('settings').hidden = !$('settings').hidden;
  $('toggle-settings').setAttribute('aria-expanded', String(!$('settings').hidden));
});
$('key').addEventListener('change', loadModels);
loadModels();
loadGauges();
setInterval(loadGauges, 2000);
