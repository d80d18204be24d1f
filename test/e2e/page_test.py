"""The chat page in a headless Chromium, against a compiled model: what it shows, asks and says to a screen reader, on a
desk and on a phone, light and dark, and what it does with text that wants to be markup. Run by scripts/check-serve full,
which has the browser and the virtual environment. --screenshots DIR leaves pictures to look at."""
import json
import pathlib
import re
import sys
import tempfile
import time
import unittest

import axe_core_python
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import browser  # noqa: E402
import programs  # noqa: E402
import serving  # noqa: E402

TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}"
STORY = "Once upon a time"
AXE = (pathlib.Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
MARKDOWN = (pathlib.Path(__file__).parent / "page_markdown.md").read_text()
HOSTILE = """<script>alert('s')</script><img src=x onerror=alert('i')> <svg onload=alert('v')>
[a](javascript:alert('l')) [b](data:text/html,<script>alert('d')</script>) ![c](https://example.com/t.png)
<iframe srcdoc="<script>parent.alert('f')</script>"></iframe> <a href="javascript:alert('h')">h</a>
```html
<script>alert('c')</script>
```
| <b onclick=alert('t')>x</b> | y |
|---|---|
| <style>*{display:none}</style> | <form action=//example.com><input> |
"""
site = None  # relay, server, artifact, options


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = browser.start()

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()

    def setUp(self):
        site.relay.reset()
        browser.look(self.driver, False)
        self.driver.get(site.relay.url)
        self.script("localStorage.clear(); sessionStorage.clear()")
        self.driver.get(site.relay.url)
        self.wait(lambda: len(self.names()) == 2, "the models are listed")

    def tearDown(self):
        self.assertEqual(self.script("return window.violations"), [])
        self.assertEqual(self.script("return window.executed"), [])
        wrong = [line["message"] for line in self.driver.get_log("browser")
                 if "Content Security Policy" in line["message"] or "Uncaught" in line["message"]]
        self.assertEqual(wrong, [])

    # What the tests do with the page.
    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def of(self, name):
        return self.driver.find_element(By.ID, name)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def names(self):
        return [option.text for option in self.all("#model option")]

    def wait(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "not in time: " + what)
            time.sleep(0.02)

    def idle(self):
        return self.of("send").is_displayed()

    def say(self, text=STORY, wait=True):
        before = len(self.all(".message"))
        self.of("input").send_keys(text, Keys.ENTER)
        self.wait(lambda: len(self.all(".message")) == before + 2, "the message and its answer appear")
        if wait:
            self.wait(self.idle, "the answer is complete")

    def answer(self):
        return self.all(".message.assistant .text")[-1].text

    def set(self, **fields):
        self.of("open-settings").click()
        for name, value in fields.items():
            field = self.of(name)
            if field.tag_name == "select":
                Select(field).select_by_value(value)
            else:
                field.clear()
                field.send_keys(str(value))
        self.driver.find_element(By.CSS_SELECTOR, "#settings [type=submit]").click()
        self.wait(lambda: not self.of("settings").is_displayed(), "the settings close")

    def press(self, label, where=""):
        next(b for b in reversed(self.all(f"{where} button")) if b.is_displayed() and b.text == label).click()

    def picture(self, name):
        if site.options.screenshots:
            folder = pathlib.Path(site.options.screenshots)
            folder.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(folder / (name + ".png")))

    def focused(self):
        return self.script("return document.activeElement.id || document.activeElement.textContent")


class Conversation(Page):
    def test_an_answer_is_streamed(self):
        self.set(temperature=0, max_tokens=60)
        site.relay.delay = 0.01
        self.script("""window.lengths = new Set(); const log = document.getElementById('log'); window.busy = [];
            new MutationObserver(() => window.lengths.add(log.textContent.length))
              .observe(log, {childList: true, subtree: true});
            new MutationObserver(() => window.busy.push(log.ariaBusy)).observe(log, {attributeFilter: ['aria-busy']});""")
        self.say()
        self.assertGreater(self.script("return window.lengths.size"), 5)
        self.assertEqual(self.script("return window.busy"), ["true", "false"])
        whole = json.loads(site.server.ask("POST", "/v1/chat/completions", {
            "messages": [{"role": "user", "content": STORY}], "temperature": 0, "max_tokens": 60})[1])
        self.assertEqual(self.answer().split(), whole["choices"][0]["message"]["content"].split())
        self.assertIn("limit of tokens", self.all(".note")[-1].text)
        self.assertRegex(self.of("status").text, r"^60 tokens · [\d.]+ tokens/s · first after [\d.]+ s · \d+ of \d+ tokens")
        self.assertGreater(float(self.of("speed").text), 0)
        self.picture("answer")

    def test_stop_frees_the_server(self):
        self.set(max_tokens=15000)
        site.relay.extra = {"ignore_eos": True}  # seconds of work
        for stop in (lambda: self.of("stop").click(), lambda: self.of("input").send_keys(Keys.ESCAPE)):
            self.of("new").click()
            self.say(wait=False)
            self.wait(lambda: self.answer().strip("…"), "some text")
            self.wait(lambda: self.of("kv").text not in ("0%", "–"), "the KV use is shown while it runs")
            stop()
            self.wait(self.idle, "it stops")
            self.assertEqual(self.all(".note")[-1].text, "Stopped.")
            self.assertTrue(self.answer())
            self.wait(lambda: "num_requests_running{engine=\"0\",model_name=\"one\"} 0\n" in
                      site.server.ask("GET", "/metrics")[1], "the server has stopped too")
        self.wait(lambda: self.of("kv").text == "0%", "the KV use falls")
        self.assertEqual(self.focused(), "input")

    def test_edit_and_retry(self):
        self.set(temperature=1, seed=7, max_tokens=20)
        self.say()
        first = self.answer()
        self.press("Retry", ".message.assistant")
        self.wait(lambda: len(site.relay.bodies) == 2 and self.idle(), "it is asked again")
        self.assertEqual(site.relay.bodies[0], site.relay.bodies[1])
        self.assertEqual(self.answer(), first)
        self.say("and then")
        roles = [m["role"] for m in site.relay.bodies[2]["messages"]]
        self.assertEqual(roles, ["user", "assistant", "user"])
        self.all(".message.user")[0].find_element(By.XPATH, ".//button[text()='Edit']").click()
        box = self.driver.switch_to.active_element
        self.assertEqual(box.get_attribute("value"), STORY)
        self.picture("edit")
        box.send_keys(" there was", Keys.CONTROL + Keys.ENTER)
        self.wait(lambda: len(site.relay.bodies) == 4 and self.idle(), "the edited one is asked")
        self.assertEqual(site.relay.bodies[3]["messages"], [{"role": "user", "content": STORY + " there was"}])
        self.assertEqual(len(self.all(".message")), 2)
        self.press("Edit", ".message.assistant")
        self.driver.switch_to.active_element.send_keys("X")
        self.press("Cancel")
        self.assertNotIn("X", self.answer())

    def test_parameters_and_system_prompt(self):
        fields = {"temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.02, "repetition_penalty": 1.1,
                  "presence_penalty": 0.3, "frequency_penalty": -0.2, "seed": 12, "max_tokens": 9}
        self.set(**fields, system="Be brief.", stop_text="zzz")
        self.say()
        body = site.relay.bodies[0]
        self.assertEqual({name: body[name] for name in fields}, fields)
        self.assertEqual(body["stop"], ["zzz"])
        self.assertEqual(body["messages"], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": STORY}])
        self.driver.refresh()  # all of it stays
        self.wait(lambda: len(self.names()) == 2, "the models are listed")
        self.assertEqual(len(self.all(".message")), 2)
        self.press("Retry", ".message.assistant")
        self.wait(lambda: len(site.relay.bodies) == 2 and self.idle(), "it is asked again")
        self.assertEqual(site.relay.bodies[1], body)
        self.of("new").click()
        self.assertEqual(self.all(".message"), [])
        self.of("open-settings").click()
        self.of("temperature").clear()
        self.of("temperature").send_keys("-3")
        self.of("settings").send_keys(Keys.ESCAPE)
        self.of("input").send_keys("a", Keys.ENTER)
        self.assertTrue(self.of("settings").is_displayed())
        self.assertEqual((self.focused(), len(site.relay.bodies)), ("temperature", 2))
        self.of("reset").click()
        self.assertEqual(self.of("temperature").get_attribute("value") + self.of("system").get_attribute("value"), "")

    def test_models(self):
        self.assertEqual(self.names(), [m["id"] for m in json.loads(site.server.ask("GET", "/v1/models")[1])["data"]])
        self.set(max_tokens=3)
        Select(self.of("model")).select_by_visible_text("two")
        self.assertIn("two", self.of("empty-model").text)
        self.say()
        self.assertEqual(site.relay.bodies[0]["model"], "two")
        self.driver.refresh()
        self.wait(lambda: len(self.names()) == 2, "the models are listed")
        self.assertEqual(self.of("model").get_attribute("value"), "two")

    def test_text_mode(self):
        self.set(mode="text", temperature=0, max_tokens=12)
        self.say()
        self.assertEqual(site.relay.bodies[0]["prompt"], STORY)
        text = site.server.complete(prompt=STORY, max_tokens=12)["choices"][0]["text"]
        self.assertEqual(self.answer().split(), text.split())

    def test_errors_are_shown(self):
        self.of("input").send_keys("x")
        self.script("document.getElementById('input').value = 'word '.repeat(20000)")
        self.of("input").send_keys(Keys.ENTER)
        self.wait(lambda: self.all(".note.bad"), "the error is shown")
        self.assertIn("16384", self.all(".note.bad")[0].text)
        self.picture("error")
        with serving.Server(site.options.llmrt, site.artifact, "--port", 0, "--api-key", "secret") as locked:
            self.driver.get(locked.url)
            self.wait(lambda: self.of("settings").is_displayed(), "it asks for the key")
            self.assertEqual(self.focused(), "key")
            self.of("key").send_keys("secret", Keys.ENTER)
            self.wait(lambda: self.names() == ["stories260k"], "the key opens")
            self.of("input").send_keys(STORY, Keys.ENTER)
            self.wait(lambda: self.all(".note.bad"), "there is no chat template")
            self.press("Complete texts instead")
            self.wait(lambda: self.idle() and self.answer(), "it goes on as a text")
            locked.process.kill()
            locked.process.wait()
            self.of("input").send_keys("more", Keys.ENTER)
            self.wait(lambda: self.all(".note.bad"), "the server is gone")
            self.assertIn("cannot be reached", self.all(".note.bad")[-1].text)
        self.driver.get_log("browser")


class Text(Page):
    def test_markdown(self):
        site.relay.script = MARKDOWN
        self.say()
        inside = ".message.assistant .text "
        for selector, texts in {
                "h3": ["A heading"], "h4": ["Steps"], "strong": ["bold", "both"], "del": ["gone"], "p > code": ["code"],
                "ol > li > ul > li em": ["one"], "blockquote blockquote": ["and deeper"], "th": ["Name", "Amount", "Note"],
                "td.right": ["1.50", "20"], "td code": ["x | y"], "pre .comment": ["# a comment", "# ten times"],
                "a": ["link", "https://example.com/x(1)", "pic"]}.items():
            self.assertEqual([node.text for node in self.all(inside + selector)], texts, selector)
        self.assertEqual(self.all(inside + "pre")[1].get_property("textContent"), re.search(
            r"```python\n(.*?)\n```", MARKDOWN, re.S)[1])
        self.assertIn("snake_case_name stays", self.answer())
        self.assertEqual({a.get_attribute("rel") for a in self.all(inside + "a")}, {"noreferrer noopener"})
        # Copying gives the code as it is.
        self.driver.execute_cdp_cmd("Browser.grantPermissions",
                                    {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
        self.press("Copy", inside + ".code")
        self.wait(lambda: self.of("status").text == "Copied", "it is copied")
        self.assertEqual(self.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])"),
                         self.all(inside + "pre")[-1].get_property("textContent"))
        self.script("document.getElementById('scroller').scrollTop = 0")
        self.picture("markdown")
        browser.look(self.driver, True)
        self.picture("markdown-dark")

    def test_hostile_text_stays_text(self):
        """From a made-up answer, and from the model itself, made to say it."""
        for forced in (False, True):
            with self.subTest(forced=forced):
                self.setUp()
                self.set(max_tokens=450)
                if forced:
                    site.relay.extra = {"structured_outputs": {"choice": [HOSTILE]}}
                else:
                    site.relay.script = HOSTILE
                self.say()
                shown = self.all("#log .text")[-1].get_property("textContent")
                for text in ("<script>alert('s')</script>", "onerror=alert('i')", "<iframe srcdoc", "<style>"):
                    self.assertIn(text, shown)
                self.assertEqual(self.all("#log :is(script, img, svg, iframe, style, form, input, object, b)"), [])
                self.assertEqual([a.get_attribute("href") for a in self.all("#log a")], ["https://example.com/t.png"])
                attributes = self.script(
                    "return [...document.querySelectorAll('#log *')].flatMap((n) => n.getAttributeNames())")
                self.assertEqual([a for a in attributes if a.startswith("on") or a == "style"], [])
                self.picture("hostile")

    def test_the_policy_holds(self):
        """What the other tests rely on: the browser does refuse."""
        refused = self.script("try { document.body.innerHTML = '<b>'; return 'taken'; } catch (e) { return e.name; }")
        self.assertEqual(refused, "TypeError")
        self.driver.execute_async_script("""const done = arguments[0];
            document.addEventListener('securitypolicyviolation', () => setTimeout(done), {once: true});
            fetch('https://example.com/').catch(() => 0);""")
        self.assertTrue(any("connect-src" in v for v in self.script("return window.violations")))
        self.script("window.violations = []")
        self.driver.get_log("browser")

    def test_text_that_takes_long_to_parse(self):
        for text in ("*a " * 20000, "[" * 50000, "`" * 30000 + "a", "> " * 20000 + "x", "- " * 20000 + "x", "_a" * 30000,
                     "|" * 30000 + "\n" + "-|" * 9000, " " * 60000 + "-", "#" * 6 + " " * 60000 + "\u2028", "**" * 30000,
                     "\n".join(" " * (i % 60) + "- x" for i in range(3000)), "```" + "a" * 60000 + "`", "http://" * 9000):
            took = self.driver.execute_async_script("""const [text, done] = arguments;
                import('/markdown.js').then((m) => { const start = performance.now();
                  m.showMarkdown(document.createElement('div'), text, {code: () => document.createElement('pre')});
                  done(performance.now() - start); }, (e) => done(String(e)));""", text)
            self.assertIsInstance(took, (int, float), took)
            self.assertLess(took, 5000, text[:10])  # what is quadratic takes minutes


class Reach(Page):
    def check_rules(self):
        """Names, roles, contrast and more: WCAG 2.1 AA as far as a program can tell (axe-core)."""
        self.script(AXE)
        found = self.driver.execute_async_script(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then(arguments[0])")
        self.assertEqual([(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found["violations"]], [])

    def test_rules_of_accessibility(self):
        for dark in (False, True):
            browser.look(self.driver, dark)
            self.of("new").click()
            self.check_rules()
            site.relay.script = MARKDOWN
            self.say()
            self.check_rules()
            self.press("Edit", ".message.user")
            self.check_rules()
            self.press("Cancel")
            self.of("open-settings").click()
            self.check_rules()
            self.of("settings").send_keys(Keys.ESCAPE)

    def test_names_for_a_screen_reader(self):
        self.set(max_tokens=3)
        self.say()
        self.of("open-settings").click()
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        self.of("settings").send_keys(Keys.ESCAPE)
        nodes += self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        named = {}
        for node in nodes:
            role = node.get("role", {}).get("value")
            if node.get("ignored") or role not in ("button", "textbox", "combobox", "spinbutton", "log", "dialog", "meter",
                                                   "status", "heading", "link"):
                continue
            named.setdefault(role, set()).add(node.get("name", {}).get("value", ""))
        for role in set(named) - {"status"}:
            self.assertNotIn("", named[role], role)
        self.assertEqual(named["log"], {"Conversation"})
        self.assertIn("status", named)
        self.assertLessEqual({"Send", "New chat", "Settings", "Close", "Copy message", "Edit message",
                              "Make this answer again"}, named["button"])
        self.assertLessEqual({"Message", "System prompt", "API key"}, named["textbox"])
        self.assertLessEqual({"Model", "Mode", "Look"}, named["combobox"])
        self.assertLessEqual({"Temperature", "Seed", "Max tokens"}, named["spinbutton"])
        self.assertEqual((named["dialog"], named["meter"]), ({"Settings"}, {"KV pages in use"}))
        log = self.of("log")
        self.assertEqual((log.get_attribute("aria-live"), log.get_attribute("aria-busy")), ("polite", "false"))

    def test_by_keyboard_alone(self):
        keys = self.driver.switch_to.active_element
        self.assertEqual(self.focused(), "input")
        keys.send_keys("one", Keys.SHIFT + Keys.ENTER)
        keys.send_keys("two")
        self.assertEqual(keys.get_attribute("value"), "one\ntwo")
        keys.send_keys(Keys.ENTER)
        self.wait(lambda: len(site.relay.bodies) == 1 and self.idle(), "it is sent")
        self.assertEqual(site.relay.bodies[0]["messages"][0]["content"], "one\ntwo")
        self.driver.switch_to.active_element.send_keys(Keys.ARROW_UP)
        box = self.driver.switch_to.active_element
        self.assertEqual(box.get_attribute("value"), "one\ntwo")
        box.send_keys(Keys.ESCAPE)
        self.assertEqual(self.focused(), "input")
        self.all(".message.user .change")[0].send_keys(Keys.ENTER)
        self.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertEqual(self.focused(), "Edit")
        seen = []
        self.script("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
        for _ in range(40):  # round the page once
            self.driver.switch_to.active_element.send_keys(Keys.TAB)
            if self.script("return document.activeElement === document.body"):
                continue  # the browser's own part of the round
            at = self.focused()
            outline = self.script("return getComputedStyle(document.activeElement).outlineStyle")
            self.assertTrue(outline != "none" or at == "input", f"{at} does not show that it has the focus")
            if at in seen[:1]:
                break
            seen.append(at)
        self.assertEqual(seen[0], "Skip to the message box")
        self.assertLessEqual({"model", "new", "open-settings", "Copy", "Edit", "Retry", "input"}, set(seen))
        self.script("document.getElementById('open-settings').focus()")
        self.driver.switch_to.active_element.send_keys(Keys.ENTER)
        self.assertTrue(self.script("return document.getElementById('settings').contains(document.activeElement)"))
        self.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertEqual(self.focused(), "open-settings")

    def test_light_and_dark(self):
        def ground():
            colours = self.script("return getComputedStyle(document.body).backgroundColor")
            return sum(map(int, re.findall(r"\d+", colours)[:3])) / 3
        self.picture("light")
        self.assertGreater(ground(), 200)
        browser.look(self.driver, True)
        self.picture("dark")
        self.assertLess(ground(), 60)
        self.set(theme="light")
        self.assertGreater(ground(), 200)
        browser.look(self.driver, False)
        self.set(theme="dark")
        self.assertLess(ground(), 60)
        self.driver.refresh()
        self.assertLess(ground(), 60)


class Phone(Page):
    @classmethod
    def setUpClass(cls):
        cls.driver = browser.start(360, 740, phone=True)

    def check_width(self, state):
        width, inner = self.script("return [document.documentElement.scrollWidth, innerWidth]")
        self.assertLessEqual(width, 360, state)
        self.assertEqual(inner, 360, state)
        outside = self.script("""return [...document.querySelectorAll('button, input, select, textarea')].filter((n) => {
            const b = n.getBoundingClientRect();
            return b.width && (b.right > 360.5 || b.left < -0.5); }).map((n) => n.id || n.textContent)""")
        self.assertEqual(outside, [], state)
        self.picture("phone-" + state)

    def test_nothing_is_wider_than_the_screen(self):
        self.check_width("empty")
        site.relay.script = MARKDOWN + "\n\n" + "long" * 200 + "\n\n`" + "code" * 100 + "`"
        self.say("x" * 300)
        self.check_width("end")
        self.script("document.getElementById('scroller').scrollTop = 0")
        self.check_width("top")
        self.press("Edit", ".message.user")
        self.check_width("edit")
        self.press("Cancel")
        self.of("open-settings").click()
        self.check_width("settings")
        small = self.script("""return [...document.querySelectorAll('button')].filter((n) => {
            const b = n.getBoundingClientRect();
            return b.width && (b.width < 24 || b.height < 24); }).map((n) => n.textContent)""")
        self.assertEqual(small, [], "WCAG 2.2: targets of 24 pixels")


def main():
    global site
    parser = programs.arguments(__doc__)
    parser.add_argument("--screenshots", help="a folder for pictures")
    parser.add_argument("tests", nargs="*", help="Class.test, all if none are named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        with serving.Server(options.llmrt, artifact, "--port", 0, "--chat-template", TEMPLATE, "--max-num-seqs", 4,
                            "--max-model-len", 16384, "--served-model-name", "one", "--served-model-name", "two") as server:
            site = type("Site", (), dict(relay=browser.Relay(server), server=server, artifact=artifact, options=options))
            result = unittest.main(argv=[sys.argv[0], *options.tests], exit=False, verbosity=2).result
            site.relay.close()
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
