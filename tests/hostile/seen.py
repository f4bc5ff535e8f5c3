"""What a page must not have been made to do: looked for in the page itself, by the browser that shows it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

WATCH = """
window.__ran = [];
window.pwned = (why) => { window.__ran.push(`ran: ${why}`); };
document.addEventListener('securitypolicyviolation', (event) => {
  window.__ran.push(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
"""Before any script of a page: what would run says so, and so does the browser where its policy had to stop it."""

_SEEN = """
const FOREIGN = new Set(['iframe', 'frame', 'frameset', 'object', 'embed', 'applet', 'base', 'portal', 'plaintext',
  'xmp', 'marquee', 'font', 'center', 'video', 'audio', 'picture', 'source', 'track', 'math', 'foreignobject',
  'animate', 'set', 'style', 'slot', 'listing', 'image', 'map', 'area']);
const LINKS = new Set(['href', 'src', 'action', 'formaction', 'xlink:href', 'poster', 'ping', 'background', 'data',
  'srcset', 'cite', 'manifest', 'longdesc']);
const ACTING = /^(on|hx-|data-hx-|x-|v-|ng-|@|:|_)|pwned|^srcdoc$|^is$|^http-equiv$/i;
const bad = (value) => {
  const url = new URL(value, location.href);
  return !(url.origin === location.origin || (url.protocol === 'blob:' && url.origin === location.origin));
};
function seen(root, found) {
  for (const node of root.querySelectorAll('*')) {
    const tag = node.localName;
    const own = node.namespaceURI === 'http://www.w3.org/1999/xhtml';
    if (tag.includes('pwned') || FOREIGN.has(tag)) found.push(`<${tag}> ${node.outerHTML.slice(0, 160)}`);
    if (tag === 'script' && (!node.src || !node.src.includes('/static/'))) found.push(node.outerHTML.slice(0, 160));
    if (!own && !['svg', 'use', 'path', 'g', 'rect', 'line', 'text', 'circle', 'title'].includes(tag))
      found.push(`foreign ${tag}`);
    for (const { name, value } of node.attributes) {
      if (ACTING.test(name)) found.push(`${tag}[${name}] ${node.outerHTML.slice(0, 160)}`);
      if (['id', 'name', 'class', 'for', 'target', 'form'].includes(name) && value.includes('pwned'))
        found.push(`${tag}[${name}=${value.slice(0, 80)}]`);
      if (name === 'style' && /url\\(|fixed|expression|inset/i.test(value)) found.push(`style ${value.slice(0, 120)}`);
      if (LINKS.has(name.toLowerCase())) {
        let wrong = true;
        try { wrong = bad(value); } catch { /* an address that is none */ }
        if (wrong) found.push(`${tag}[${name}=${value.slice(0, 120)}]`);
      }
    }
    if (node.shadowRoot) seen(node.shadowRoot, found);
  }
  return found;
}
"""

_HERE = f"() => {{ {_SEEN} return [...window.__ran, ...seen(document, [])]; }}"
_FETCHED = f"""async (addresses) => {{ {_SEEN}
  const found = [];
  const work = async () => {{
    for (let address = addresses.shift(); address !== undefined; address = addresses.shift()) {{
      const answer = await fetch(address);
      const wrong = [];
      if (answer.status >= 500) wrong.push(`status ${{answer.status}}`);
      if (new URL(answer.url).origin !== location.origin) wrong.push(`led to ${{answer.url}}`);
      const kind = answer.headers.get('content-type');
      if (!kind.startsWith('text/html')) {{
        if (kind !== 'application/problem+json') wrong.push(kind);
        for (const one of wrong) found.push(`${{address.slice(0, 200)}}: ${{one}}`);
        continue;
      }}
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (!page.querySelector('main')) wrong.push('no page of ours');
      for (const one of seen(page, wrong)) found.push(`${{address.slice(0, 200)}}: ${{one}}`);
    }}
  }};
  await Promise.all(Array.from({{ length: 4 }}, work));
  return found;
}}"""
_WIDE = """() => {
  const all = document.documentElement;
  const wide = Math.max(all.scrollWidth, document.body.scrollWidth);
  for (const box of document.querySelectorAll('.scroll-x'))
    if (box.scrollWidth > 3 * all.clientWidth) return `a box: ${box.scrollWidth} px: ${box.outerHTML.slice(0, 200)}`;
  if (wide <= all.clientWidth) return '';
  let most = null;
  for (const node of document.querySelectorAll('body *')) {
    const right = node.getBoundingClientRect().right;
    if (right > all.clientWidth + 1 && (!most || right > most[0])) most = [right, node.outerHTML.slice(0, 200)];
  }
  return `${wide} of ${all.clientWidth} px: ${most}`;
}"""
WIDTHS = ((360, 740), (1280, 800))


def traces(page: Page) -> list[str]:
    """What ran in the page, or was made of somebody's words in it."""
    found: list[str] = page.evaluate(_HERE)
    return found


def traces_at(page: Page, addresses: list[str]) -> list[str]:
    """The same of pages that are fetched and read by the browser, and not shown. ``page`` is any page of the site."""
    found: list[str] = page.evaluate(_FETCHED, addresses)
    return found


def sticking_out(page: Page) -> list[str]:
    """Widths at which the page has to be moved sideways, or a table in it for long, and what sticks out most."""
    found: list[Any] = []
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        told = page.evaluate(_WIDE)
        if told:
            found.append(f"{page.url} at {width} px: {told}")
    return found
