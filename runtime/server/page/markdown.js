// Markdown to nodes. The text is a model's and may be hostile: no markup is ever made from it, only nodes that hold
// text; depth is bounded, and no search looks further than kReach characters for its end.
const kDepth = 8, kReach = 2000;

// element('p', {className: 'a'}, 'text', node): properties as the DOM names them; 'aria-...' and the like are attributes.
export function element(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// ---- inside a line -------------------------------------------------------------------------------------------------

function safeAddress(text) {
  try {
    const url = new URL(text);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, children) {
  return element('a', {href: address, target: '_blank', rel: 'noreferrer noopener'}, ...children);
}

// Each takes the text and where its sign stands, and gives [node, where it ends] or null.
const kInline = {
  '\\': (text, at) => /[\\`*_{}[\]()#+\-.!~|<>"'$&]/.test(text[at + 1] || '') ? [text[at + 1], at + 2] : null,
  '\n': (text, at) => [element('br'), at + 1],
  '`': (text, at) => {
    const sign = /^`+/.exec(text.slice(at, at + 100))[0];
    for (let end = at + sign.length; (end = text.indexOf(sign, end)) >= 0 && end - at < kReach;) {
      if (text[end + sign.length] !== '`' && text[end - 1] !== '`') {
        const code = text.slice(at + sign.length, end).replaceAll('\n', ' ');
        const padded = code.trim() && code.startsWith(' ') && code.endsWith(' ');
        return [element('code', {}, padded ? code.slice(1, -1) : code), end + sign.length];
      }
      while (text[end] === '`') ++end;
    }
    return [sign, at + sign.length];
  },
  '*': (text, at, depth) => emphasis(text, at, depth, '*'),
  '_': (text, at, depth) => /\w/.test(text[at - 1] || '') ? null : emphasis(text, at, depth, '_'),
  '~': (text, at, depth) => text[at + 1] === '~' ? span('del', text, at, depth, '~~') : null,
  '!': (text, at, depth) => text[at + 1] === '[' ? bracket(text, at + 1, depth) : null, // an image is a link to it
  '[': (text, at, depth) => bracket(text, at, depth),
  '<': (text, at) => {
    const match = /^<br ?\/?>/i.exec(text.slice(at, at + 6));
    if (match) return [element('br'), at + match[0].length];
    const address = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/.exec(text.slice(at, at + kReach));
    const safe = address && safeAddress(address[1]);
    return safe ? [link(safe, [address[1]]), at + address[0].length] : null;
  },
  'h': (text, at) => {
    if (/\w/.test(text[at - 1] || '') || !text.startsWith('http', at)) return null;
    const match = /^https?:\/\/[^\s<>[\]"'`|*]+/.exec(text.slice(at, at + kReach));
    if (!match) return null;
    let address = match[0].replace(/[.,;:!?]+$/, '');
    if (address.endsWith(')') && !address.includes('(')) address = address.slice(0, -1);
    const safe = safeAddress(address);
    return safe ? [link(safe, [address]), at + address.length] : null;
  },
};

function span(tag, text, at, depth, sign) {
  const start = at + sign.length;
  if (depth >= kDepth || /\s/.test(text[start] || ' ')) return null;
  for (let end = start; (end = text.indexOf(sign, end + 1)) >= 0 && end - at < kReach;) {
    while (text[end + sign.length] === sign[0] && sign.length === 2) ++end; // of ***: the last two
    const whole = sign[0] !== '_' || !/\w/.test(text[end + sign.length] || '');
    if (/\s/.test(text[end - 1]) || !whole) continue;
    if (sign.length === 1 && text[end + 1] === sign) {
      ++end; // a double one inside belongs to what is strong
      continue;
    }
    return [element(tag, {}, ...inline(text.slice(start, end), depth + 1)), end + sign.length];
  }
  return null;
}

function emphasis(text, at, depth, sign) {
  if (text[at + 1] === sign) return span('strong', text, at, depth, sign + sign) || [sign + sign, at + 2];
  return span('em', text, at, depth, sign);
}

function bracket(text, at, depth) {
  const end = text.indexOf(']', at);
  if (end < 0 || end - at > kReach || text[end + 1] !== '(') return null;
  const match = /^\(\s*<?([^\s<>]*?)>?(?:\s+"[^"]*")?\s*\)/.exec(text.slice(end + 1, end + 1 + kReach));
  const safe = match && safeAddress(match[1]);
  if (!safe) return null;
  const label = text.slice(at + 1, end) || match[1];
  return [link(safe, depth >= kDepth ? [label] : inline(label, depth + 1, true)), end + 1 + match[0].length];
}

export function inline(text, depth = 0, inLink = false) {
  const nodes = [];
  let plain = '';
  for (let at = 0; at < text.length;) {
    const rule = inLink && '[h<!'.includes(text[at]) ? null : kInline[text[at]];
    const found = rule ? rule(text, at, depth) : null;
    if (found && typeof found[0] !== 'string') {
      if (plain) nodes.push(plain);
      plain = '';
      nodes.push(found[0]);
    } else {
      plain += found ? found[0] : text[at];
    }
    at = found ? found[1] : at + 1;
  }
  if (plain) nodes.push(plain);
  return nodes;
}

// ---- blocks ----------------------------------------------------------------------------------------------------------

// Each of these takes time in proportion to the line: a line may be long.
const kFence = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const kItem = /^(\s*)([-*+]|\d{1,9}[.)])(\s[^]*|)$/;
const kHeading = /^ {0,3}(#{1,6})\s([^]*)$/;
const kRule = /^ {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$/;
const kTable = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const dashes = (line) => line !== undefined && line.length < kReach && line.includes('-') && kTable.test(line);
const indentOf = (line) => /^\s*/.exec(line)[0].length;

// How many of lines[at...] pass `test`.
function run(lines, at, test) {
  let end = at;
  while (end < lines.length && test(lines[end], end)) ++end;
  return end;
}

function fence(lines, at, context) {
  const open = kFence.exec(lines[at]);
  if (!open) return null;
  const close = new RegExp('^ {0,3}' + open[1][0] + '{' + open[1].length + ',}\\s*$');
  const end = run(lines, at + 1, (line) => !close.test(line));
  const language = open[2].trim().split(/\s/)[0];
  return [() => context.code(lines.slice(at + 1, end).join('\n'), language), Math.min(end + 1, lines.length)];
}

function heading(lines, at) {
  const match = kHeading.exec(lines[at]);
  // The page has h1, a message h2.
  return match && [() => element('h' + Math.min(6, 2 + match[1].length), {},
                                 ...inline(match[2].trim().replace(/ #+$/, ''))), at + 1];
}

function quote(lines, at, context, depth) {
  if (depth >= kDepth || !/^ {0,3}>/.test(lines[at])) return null;
  const end = run(lines, at, (line) => /^ {0,3}>/.test(line));
  const body = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ''));
  return [() => element('blockquote', {}, ...build(body, context, depth + 1)), end];
}

// An item has its line and the lines under it that stand further in.
function list(lines, at, context, depth) {
  const first = kItem.exec(lines[at]);
  if (!first || depth >= kDepth) return null;
  const ordered = /\d/.test(first[2]), indent = first[1].length, items = [];
  const sibling = (line) => {
    const match = kItem.exec(line);
    return match && match[1].length <= indent + 1 && /\d/.test(match[2]) === ordered && !kRule.test(line) ? match : null;
  };
  const belongs = (line) => !!line.trim() && indentOf(line) > indent + 1;
  let i = at;
  while (i < lines.length) {
    const match = sibling(lines[i]);
    if (!match) break;
    const end = run(lines, i + 1, (line, k) => belongs(line) || (!line.trim() && belongs(lines[k + 1] || '')) ||
                                               (!!line.trim() && !!lines[k - 1].trim() && !starts(lines, k)));
    const under = lines.slice(i + 1, end), cut = Math.min(...under.filter((l) => l.trim()).map(indentOf), 8);
    items.push([match[3].trim(), ...under.map((line) => line.slice(Math.min(cut, indentOf(line))))]);
    i = run(lines, end, (line, k) => !line.trim() && !!sibling(lines[k + 1] || '')); // a blank line between two items
  }
  const make = () => element(ordered ? 'ol' : 'ul', ordered ? {start: parseInt(first[2], 10)} : {},
    ...items.map((item) => {
      const task = /^\[([ xX])\]\s+/.exec(item[0]);
      if (task) item = [(task[1] === ' ' ? '☐ ' : '☑ ') + item[0].slice(task[0].length), ...item.slice(1)];
      return element('li', {className: task ? 'task' : ''}, ...tight(build(item, context, depth + 1)));
    }));
  return [make, i];
}

function table(lines, at) {
  if (!lines[at].includes('|') || !dashes(lines[at + 1])) return null;
  const end = run(lines, at, (line) => line.includes('|'));
  const cells = (line) => line.trim().replace(/^\||(?<!\\)\|$/g, '').split(/(?<!\\)\|/)
    .map((c) => c.trim().replaceAll('\\|', '|'));
  const sides = cells(lines[at + 1]).map((c) => (c.endsWith(':') ? (c.startsWith(':') ? 'center' : 'right') : ''));
  const row = (tag, line) => element('tr', {}, ...cells(line).slice(0, sides.length).map(
    (c, i) => element(tag, {className: sides[i], ...(tag === 'th' ? {scope: 'col'} : {})}, ...inline(c))));
  const make = () => element('div', {className: 'wide', tabIndex: 0, role: 'group', 'aria-label': 'Table'},
    element('table', {}, element('thead', {}, row('th', lines[at])),
      element('tbody', {}, ...lines.slice(at + 2, end).map((line) => row('td', line)))));
  return [make, Math.max(end, at + 2)];
}

const ruler = (lines, at) => kRule.test(lines[at]) ? [() => element('hr'), at + 1] : null;
const kBlocks = [fence, heading, ruler, quote, list, table];

// Whether a block other than a paragraph begins at lines[at], or nothing stands there.
function starts(lines, at) {
  return !lines[at].trim() || kFence.test(lines[at]) || /^ {0,3}(#{1,6}\s|>)/.test(lines[at]) || kRule.test(lines[at]) ||
         kItem.test(lines[at]) || (lines[at].includes('|') && dashes(lines[at + 1]));
}

// [{source, make}]: the source decides what make() gives, so that what is the same need not be made again.
function split(lines, context, depth) {
  const out = [];
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) {
      ++at;
      continue;
    }
    let found = null;
    for (const rule of kBlocks) if ((found = rule(lines, at, context, depth))) break;
    const begin = at;
    if (!found) {
      const end = run(lines, at + 1, (line, k) => !starts(lines, k));
      const text = lines.slice(begin, end).map((line) => line.trim()).join('\n');
      found = [() => element('p', {}, ...inline(text)), end];
    }
    at = found[1];
    out.push({source: lines.slice(begin, at).join('\n'), make: found[0]});
  }
  return out;
}

function build(lines, context, depth) {
  return split(lines, context, depth).map((block) => block.make());
}

// An item that begins with a line of text needs no paragraph round it.
function tight(nodes) {
  return nodes.length && nodes[0].tagName === 'P' ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes;
}

// Shows `text` in `container`, keeping the blocks that are there already: text that grows flickers nowhere, and keeps
// the reader's selection and focus. context.code(text, language) makes a block of code.
export function showMarkdown(container, text, context) {
  const blocks = split(text.replaceAll('\r\n', '\n').split('\n'), context, 0);
  blocks.forEach((block, i) => {
    const old = container.children[i];
    if (old && old.source === block.source) return;
    const node = block.make();
    node.source = block.source;
    if (old) old.replaceWith(node);
    else container.append(node);
  });
  while (container.children.length > blocks.length) container.lastElementChild.remove();
}

// ---- code ------------------------------------------------------------------------------------------------------------

const kWords = new Set(('abstract and as async await break case catch class const constexpr continue def default del ' +
  'delete do elif else end enum except export extends extern false final finally fn for from func function global go ' +
  'if impl import in include interface is lambda let local loop match mod module mut namespace new nil none None not ' +
  'null nullptr of or override package pass private protected pub public raise return select self SELECT FROM WHERE ' +
  'JOIN GROUP ORDER BY INSERT UPDATE CREATE TABLE static struct super switch template this throw trait true True False ' +
  'try type typedef typename union unless until unsafe use using var virtual void where while with yield int float ' +
  'double char bool string auto long short unsigned size_t u8 u32 i32 u64 i64 usize echo fi then done').split(' '));
const kHash = 'py python sh bash shell zsh rb ruby yaml yml toml r perl pl make makefile dockerfile cmake nix'.split(' ');
const kDash = 'sql lua haskell hs ada'.split(' ');
const kPlain = ['', 'text', 'txt', 'plain', 'plaintext', 'markdown', 'md', 'output', 'console', 'csv', 'log'];

export function highlight(text, language) {
  language = language.toLowerCase();
  if (kPlain.includes(language) || text.length > 50000) return [text];
  const comment = kHash.includes(language) ? '#[^\\n]*' : kDash.includes(language) ? '--[^\\n]*'
    : /^(html|xml|svg)$/.test(language) ? '<!--[^]*?(?:-->|$)' : '\\/\\/[^\\n]*|\\/\\*[^]*?(?:\\*\\/|$)';
  const pattern = new RegExp('(' + comment + ')|("(?:[^"\\\\\\n]|\\\\.)*"?|\'(?:[^\'\\\\\\n]|\\\\.)*\'?|`[^`]*`?)|' +
    '\\b(\\d[\\w.]*)|\\b([A-Za-z_]\\w*)', 'g');
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    const kind = match[1] ? 'comment' : match[2] ? 'string' : match[3] ? 'number' : kWords.has(match[4]) ? 'word' : '';
    if (!kind) continue;
    nodes.push(text.slice(at, match.index), element('span', {className: kind}, match[0]));
    at = match.index + match[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
