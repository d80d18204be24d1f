// The chat page: one conversation, streamed from the server that it came from.
import {element, highlight, showMarkdown} from './markdown.js';
import {generate, kvUse, listModels, Speed} from './server.js';

const $ = (id) => document.getElementById(id);
const kNumbers = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty', 'frequency_penalty',
  'seed', 'max_tokens'];
const kKept = [...kNumbers, 'stop_text', 'system', 'mode', 'theme'];
const kPollMs = 2000;
const touch = matchMedia('(pointer: coarse)').matches;

let messages = [];        // {role, content, thoughts?, note?, error?}; each has its nodes in `views`
const views = new Map();  // message -> {article, text, thoughts, note}
let running = null;       // AbortController of the answer that is coming
let models = [];          // as /v1/models lists them
let nextPoll = 0;         // timer of loadGauges()

// ---- what outlives the page ----------------------------------------------------------------------------------------

// Settings stay with the browser, conversation and key with the tab. A browser may forbid both.
function keep(store, name, value) {
  try {
    store().setItem('llmrt.' + name, JSON.stringify(value));
  } catch { /* then they are forgotten */ }
}

function kept(store, name) {
  try {
    return JSON.parse(store().getItem('llmrt.' + name));
  } catch {
    return null;
  }
}
const browser = () => localStorage, tab = () => sessionStorage;

function keepSettings() {
  keep(browser, 'settings', Object.fromEntries([...kKept, 'model'].map((name) => [name, $(name).value])));
  keep(tab, 'key', $('key').value);
  applySettings();
}

function applySettings() {
  document.documentElement.dataset.theme = $('theme').value;
  const text = $('mode').value === 'text';
  $('system').disabled = text;
  $('input').placeholder = text ? 'The beginning of a text' : 'Message';
  const model = models.find((m) => m.id === $('model').value);
  $('empty-title').textContent = text ? 'Begin a text, the model goes on' : 'Say something to the model';
  const context = model?.max_model_len ? model.max_model_len + ' tokens of context' : 'loaded when it is asked';
  $('empty-model').textContent = model ? model.id + ', ' + context : '';
}

// ---- messages -------------------------------------------------------------------------------------------------------

function say(text, bad = false) {
  $('status').textContent = text;
  $('status').classList.toggle('bad', bad);
}

function button(label, action, properties) {
  const node = element('button', {type: 'button', ...properties}, label);
  node.addEventListener('click', action);
  return node;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no clipboard for pages that came over plain HTTP from elsewhere
    const box = element('textarea', {value: text, className: 'hidden'});
    document.body.append(box);
    box.select();
    const done = document.execCommand('copy');
    box.remove();
    if (!done) return say('The browser does not let this page copy', true);
  }
  say('Copied');
}

const codeBlocks = {
  code(text, language) {
    const code = element('code', {}, ...highlight(text, language));
    const block = element('pre', {tabIndex: 0, role: 'group', 'aria-label': (language || 'plain') + ' code'}, code);
    return element('div', {className: 'code'},
      element('div', {className: 'bar'}, element('span', {}, language || 'text'), button('Copy', () => copy(text),
        {'aria-label': 'Copy this code'})), block);
  },
};

function show(message) {
  const view = views.get(message);
  if (message.role === 'assistant') showMarkdown(view.text, message.content, codeBlocks);
  else view.text.textContent = message.content;
  if (message.thoughts) {
    view.thoughts.hidden = false;
    view.thoughts.lastChild.textContent = message.thoughts;
  }
  view.note.textContent = message.error || message.note || '';
  view.note.classList.toggle('bad', !!message.error);
  view.note.hidden = !view.note.textContent;
}

function nameOf(message) {
  if ($('mode').value === 'text') return message.role === 'user' ? 'Text' : 'Continued';
  return message.role === 'user' ? 'You' : message.model || 'Model';
}

function append(message) {
  const thoughts = element('details', {className: 'thoughts', hidden: true}, element('summary', {}, 'Thoughts'),
    element('div', {className: 'plain'}));
  const text = element('div', {className: message.role === 'user' ? 'text plain' : 'text'});
  const note = element('p', {className: 'note', hidden: true});
  const actions = element('div', {className: 'actions'},
    button('Copy', () => copy(message.content), {'aria-label': 'Copy message'}),
    button('Edit', () => edit(message), {className: 'change', 'aria-label': 'Edit message'}));
  if (message.role === 'assistant')
    actions.append(button('Retry', () => retry(message), {className: 'change', 'aria-label': 'Make this answer again'}));
  const article = element('article', {className: 'message ' + message.role},
    element('h2', {}, nameOf(message)), thoughts, text, note, actions);
  views.set(message, {article, text, thoughts, note, actions});
  $('log').append(article);
  $('empty').hidden = true;
  show(message);
}

function dropFrom(index) {
  for (const message of messages.splice(index)) {
    views.get(message).article.remove();
    views.delete(message);
  }
  $('empty').hidden = messages.length > 0;
}

function keepChat() {
  keep(tab, 'chat', messages);
}

// A message's text becomes a box. Saving what the user said asks again from there.
function edit(message) {
  if (running || !views.has(message)) return;
  const {article, text, actions} = views.get(message);
  const before = document.activeElement;
  const box = element('textarea', {value: message.content, rows: 1, 'aria-label': 'Edit message'});
  const close = () => {
    form.replaceWith(text);
    actions.hidden = false;
  };
  const cancel = () => {
    close();
    before.focus();
  };
  const save = () => {
    close();
    focusInput();
    message.content = box.value;
    show(message);
    dropFrom(messages.indexOf(message) + 1);
    keepChat();
    if (message.role === 'user') answer();
  };
  const form = element('div', {className: 'edit'}, box, element('div', {className: 'actions'},
    button(message.role === 'user' ? 'Send again' : 'Save', save, {className: 'primary'}), button('Cancel', cancel)));
  box.addEventListener('input', () => fit(box));
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') cancel();
    else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) save();
    else return;
    event.stopPropagation();
    event.preventDefault();
  });
  actions.hidden = true;
  text.replaceWith(form);
  fit(box);
  box.focus();
  article.scrollIntoView({block: 'nearest'});
}

function retry(message) {
  if (running) return;
  dropFrom(messages.indexOf(message));
  answer();
}

// ---- asking ---------------------------------------------------------------------------------------------------------

function requestBody() {
  const out = {model: $('model').value, stream: true, stream_options: {include_usage: true, continuous_usage_stats: true}};
  for (const name of kNumbers) if ($(name).value !== '') out[name] = Number($(name).value);
  if ($('stop_text').value) out.stop = [$('stop_text').value];
  const said = messages.filter((m) => m.content);
  if ($('mode').value === 'text') {
    out.prompt = said.map((m) => m.content).join('');
    out.max_tokens ??= 256;
    return ['v1/completions', out];
  }
  const system = $('system').value.trim();
  out.messages = (system ? [{role: 'system', content: system}] : [])
    .concat(said.map(({role, content}) => ({role, content})));
  return ['v1/chat/completions', out];
}

function busy(on) {
  $('send').hidden = on;
  $('stop').hidden = !on;
  $('log').setAttribute('aria-busy', String(on));
  for (const node of document.querySelectorAll('.change')) node.disabled = on;
}

const atEnd = () => $('scroller').scrollHeight - $('scroller').scrollTop - $('scroller').clientHeight < 80;

function toEnd() {
  $('scroller').scrollTop = $('scroller').scrollHeight;
}

// Shows a message at most once a frame.
function painter(message) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (!views.has(message)) return;
      const follow = atEnd();
      show(message);
      if (follow) toEnd();
    });
  };
}

function figures(usage, start, first) {
  const parts = [usage.completion_tokens + (usage.completion_tokens === 1 ? ' token' : ' tokens')];
  const seconds = (performance.now() - first) / 1000;
  if (usage.completion_tokens > 1 && seconds > 0)
    parts.push(((usage.completion_tokens - 1) / seconds).toFixed(1) + ' tokens/s');
  parts.push('first after ' + ((first - start) / 1000).toFixed(2) + ' s');
  const model = models.find((m) => m.id === $('model').value);
  if (model?.max_model_len) parts.push(usage.total_tokens + ' of ' + model.max_model_len + ' tokens of context');
  return parts.join(' · ');
}

async function receive(message, path, body) {
  const paint = painter(message), speed = new Speed(), start = performance.now();
  let first = 0, usage = null, finish = null;
  for await (const event of generate(path, body, $('key').value, running.signal)) {
    usage = event.usage || usage;
    const choice = event.choices[0];
    if (!choice) continue;
    first ||= performance.now();
    message.content += (choice.delta ? choice.delta.content : choice.text) || '';
    message.thoughts += choice.delta?.reasoning_content || '';
    finish = choice.finish_reason || finish;
    if (usage) speed.add(usage.completion_tokens);
    if (speed.get() > 0) $('speed').textContent = speed.get().toFixed(1);
    paint();
  }
  if (finish === 'length') message.note = 'Ended at the limit of tokens.';
  else if (!message.content) message.note = 'The model had nothing to say.';
  say(usage && first ? figures(usage, start, first) : 'Done');
}

function failed(message, error) {
  if (error.name === 'AbortError') {
    message.note = 'Stopped.';
    return say('Stopped');
  }
  message.error = error instanceof TypeError ? 'The server cannot be reached.' : error.message;
  say('No answer', true);
  if (error.status === 401) openSettings('key');
  if (/--chat-template/.test(error.message) && $('mode').value === 'chat')
    views.get(message)?.actions.append(button('Complete texts instead', () => {
      $('mode').value = 'text';
      keepSettings();
      retry(message);
    }, {className: 'primary'}));
}

async function answer() {
  if (running || !checkFields()) return;
  const [path, body] = requestBody();
  const message = {role: 'assistant', content: '', thoughts: '', model: body.model};
  running = new AbortController();
  messages.push(message);
  append(message);
  busy(true);
  say('Answering…');
  setTimeout(loadGauges, kPollMs / 10);
  views.get(message).article.classList.add('coming');
  toEnd();
  try {
    await receive(message, path, body);
  } catch (error) {
    failed(message, error);
  }
  const hadFocus = document.activeElement === document.body || document.activeElement === $('stop');
  running = null;
  busy(false);
  if (views.has(message)) { // else the chat was ended meanwhile
    const follow = atEnd();
    show(message);
    views.get(message).article.classList.remove('coming');
    if (follow) toEnd();
    keepChat();
  }
  if (!models.find((m) => m.id === message.model)?.max_model_len) loadModels(); // it was not loaded before
  if (hadFocus) focusInput();
}

// A field that is no number or out of range is shown, not sent.
function checkFields() {
  const wrong = kNumbers.find((name) => !$(name).checkValidity());
  if (!wrong) return true;
  openSettings(wrong);
  $(wrong).reportValidity();
  return false;
}

function send(event) {
  event.preventDefault();
  const content = $('input').value;
  if (running || !content.trim() || !checkFields()) return;
  const message = {role: 'user', content};
  messages.push(message);
  append(message);
  $('input').value = '';
  fit($('input'));
  answer();
}

// ---- settings, models, gauges ---------------------------------------------------------------------------------------

function openSettings(field) {
  if (!$('settings').open) $('settings').showModal();
  if (typeof field === 'string') $(field).focus();
}

async function loadModels() {
  try {
    models = await listModels($('key').value);
    const chosen = $('model').value || kept(browser, 'settings')?.model;
    $('model').replaceChildren(...models.map((m) => new Option(m.id, m.id)));
    if (models.some((m) => m.id === chosen)) $('model').value = chosen;
    applySettings();
    if ($('status').classList.contains('bad')) say('');
  } catch (error) {
    if (error.status === 401) {
      say('The server wants its API key', true);
      return openSettings('key');
    }
    say(error instanceof TypeError ? 'The server cannot be reached' : error.message, true);
    setTimeout(loadModels, kPollMs); // it may still be loading
  }
}

async function loadGauges() {
  if (!document.hidden) {
    try {
      const use = await kvUse();
      const value = use.get($('model').value) ?? Math.max(0, ...use.values());
      $('kv-bar').value = value;
      $('kv').textContent = use.size ? (100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0) + '%' : '–';
    } catch {
      $('kv').textContent = '–';
    }
  }
  clearTimeout(nextPoll);
  nextPoll = setTimeout(loadGauges, running ? kPollMs / 4 : kPollMs);
}

// ---- the page --------------------------------------------------------------------------------------------------------

// A box is as high as its text, up to what the style allows.
function fit(box) {
  box.style.height = 'auto';
  box.style.height = box.scrollHeight + 2 + 'px';
}

function focusInput() {
  if (!touch) $('input').focus(); // else the keyboard would cover what was just said
}

function newChat() {
  running?.abort();
  dropFrom(0);
  keepChat();
  say('');
  $('input').focus();
}

function setUp() {
  const settings = kept(browser, 'settings') || {};
  for (const name of kKept) if (typeof settings[name] === 'string') $(name).value = settings[name];
  $('key').value = kept(tab, 'key') || '';
  applySettings();
  for (const message of kept(tab, 'chat') || []) {
    messages.push(message);
    append(message);
  }
  toEnd();
  fit($('input'));

  $('form').addEventListener('submit', send);
  $('input').addEventListener('input', () => fit($('input')));
  $('input').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
    const last = messages.findLast((m) => m.role === 'user');
    if (event.key === 'ArrowUp' && !$('input').value && last && !running) {
      event.preventDefault();
      edit(last);
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !$('settings').open) running?.abort();
  });
  $('stop').addEventListener('click', () => running?.abort());
  $('new').addEventListener('click', newChat);
  $('latest').addEventListener('click', toEnd);
  $('scroller').addEventListener('scroll', () => ($('latest').hidden = atEnd()));
  $('open-settings').addEventListener('click', openSettings);
  $('settings').addEventListener('click', (event) => event.target === $('settings') && $('settings').close());
  $('settings').addEventListener('change', keepSettings);
  $('reset').addEventListener('click', () => {
    for (const name of kKept) $(name).value = name === 'mode' ? 'chat' : '';
    keepSettings();
  });
  $('key').addEventListener('change', loadModels);
  $('model').addEventListener('change', keepSettings);
  loadModels();
  loadGauges();
}

setUp();
