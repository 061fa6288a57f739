"""Each filter's fault by true and false examples: a conversation, and the parameters with which it is asked about."""

from dataclasses import replace

from schemas.records import Conversation, Message
from tasks.wordlists import WordList
from tests.tasks.builders import a_conversation, a_prompt, rewarded, verified

ENGLISH = "The kettle boils the water, and then the tea has to stand for about four minutes."
GERMAN = "Der Kessel bringt das Wasser zum Kochen, danach muss der Tee etwa vier Minuten ziehen."
RUDE = WordList("rude.txt", ("bother", "old goat"))
PYTHON = "```python\ndef double(x):\n    return 2 * x\n```"


def said(*answers: str) -> Conversation:
    one = a_conversation(answers[0])
    more = [turn for answer in answers[1:] for turn in (Message("user", "And then?"), Message("assistant", answer))]
    return replace(one, messages=(*one.messages, *more))


def asked(prompt: str, answer: str) -> Conversation:
    return a_conversation(answer, prompt=a_prompt(prompt))


def plain(*answers: str) -> "list[tuple[Conversation, dict[str, object]]]":
    return [(said(answer), {}) for answer in answers]


Examples = dict[str, list[tuple[Conversation, dict[str, object]]]]

TRUE: Examples = {
    "too_short": [(said("Yes."), {"words": 2}), (said(ENGLISH, "Fine."), {"words": 2}), (said("是的"), {"words": 2})],
    "too_long": [(said("word " * 11), {"words": 10}), (said("word " * 6, "word " * 5), {"words": 10}), (said("水" * 30), {"words": 10})],
    "truncated": [(replace(said("And so it"), finish_reason="length"), {})],
    "refusal": [
        (said("I'm sorry, but I can't help with that."), {}),
        (said("I’m really sorry, but I cannot assist with that request."), {}),
        (said("I cannot provide instructions for this."), {}),
        (said("Unfortunately, I am unable to answer this."), {}),
        (said("As an AI language model, I cannot have a favourite."), {}),
        (said("I'm just an AI assistant and cannot taste food."), {}),
        (said("Your request goes against my guidelines."), {}),
        (said(ENGLISH, "I won't continue this conversation."), {}),
    ],
    "repeated_ngrams": [(said("the cat sat on the mat " * 5), {}), (said("go go go go go go"), {"n": 1, "share": 0.5}), (said("天 天 天 天 天 天 天 天"), {})],
    "wrong_language": [(said(GERMAN), {}), (said(ENGLISH), {"language": "de"}), (said("茶壶把水烧开，然后茶需要泡大约四分钟才可以喝。"), {})],
    "below_reward": [(rewarded(said("x"), 1.9), {"minimum": 2.0}), (rewarded(said("x"), 9.0, helpfulness=1.0), {"minimum": 2.0, "attribute": "helpfulness"})],
    "wrong_answer": [(verified(said("5"), passed=False), {})],
    "too_many_tokens": [(replace(said(ENGLISH), prompt_tokens=60, completion_tokens=41), {"tokens": 100})],
    "odd_word_length": [
        *plain("a b c d e f g h i j k l m n o p", "Donaudampfschifffahrtsgesellschaft " * 12),
        (said(ENGLISH), {"longest": 3.0}),
    ],
    "unfinished_sentence": plain(
        "To make tea you first boil the water and then you",
        "First boil it.\n\nAfter that the leaves go into the pot, together with the water,",
        f"{PYTHON}\n\nThis function takes a number and gives back the —",
    ),
    "open_code_fence": [*plain("Do this:\n```python\nprint(1)", "~~~\nx"), (said("```\nx\n", ENGLISH + "\n```\ny\n```"), {})],
    "repeated_lines": plain("Boil it.\nPour it.\nBoil it.\nBoil it.", "one\n  one\none\ntwo"),
    "repeated_paragraphs": plain(f"{ENGLISH}\n\n{GERMAN}\n\n{ENGLISH}\n\n{ENGLISH}", "a\nb\n\na\nb\n\nc"),
    "echoed_prompt": [
        (asked("How long does black tea have to stand in the pot?", "How long does black tea have to stand in the pot? Four minutes."), {}),
        (asked("How long does black tea have to\nstand in the pot?", '> "How long does BLACK tea have to stand in the pot?"\n\nFour.'), {}),
    ],
    "too_many_symbols": [*plain("<<<>>>{}[]()!!!@@@###$$$%%%^^^&&&***___ words here"), (said(ENGLISH), {"share": 0.01})],
    "mostly_uppercase": plain("THE KETTLE BOILS THE WATER, AND THEN THE TEA HAS TO STAND."),
    "mostly_digits": plain("1234567890 1234567890 1234567890 1234567890 ten", "१२३४५६७८९० " * 5),
    "unprintable": plain("a\x00b", "a\x1b[31mb", "lost \ufffd mark", "private \ue000 use", "unassigned \u0378"),
    "mojibake": plain("A cafÃ© in Paris", "Itâ€™s fine", "Â£5", "ðŸ˜€", "ï»¿First"),
    "too_many_links": plain("See https://a.example/page?x=1 and www.b.example/other.", "HTTPS://EXAMPLE.COM/A/B/C/D"),
    "boilerplate": [
        *plain("The tea is good.\nWe use cookies to improve your visit.\n© 2023 Tea Ltd. All rights reserved."),
        (said("Lorem ipsum dolor sit amet."), {"lines": 1}),
        (said("Please enable JavaScript\nText."), {"lines": 1}),
    ],
    "profanity": [(said(text), {"words": RUDE}) for text in ("Bother!", "You old-goat.", "oh BOTHER, again")],
    "email_address": plain("Write to jane.doe@mail.co.uk now.", "a+b@x.io", "info@example.com and real@firm.de"),
    "phone_number": plain("Call +44 20 7946 0958.", "Call (212) 736-5000 now", "212-736-5000", "+49 (30) 901820 12", "+14155552671"),
    "ip_address": plain("Ping 8.8.8.8 first.", "Use 2001:4860:4860:0:0:0:0:8888 instead", "or 2001:4860:4860::8888"),
    "payment_card": plain("Pay by 4539 1488 0343 6467.", "5500005555555559", "3782-822463-10005"),
    "mostly_bullets": plain("\n".join(f"- item {one}" for one in "abcdefghij"), "\n".join(f"{one}. step" for one in range(1, 10))),
    "mostly_ellipses": plain("The kettle boils the ...\nThe tea has to …\nPour it.\nThen …", "a...\nb...\nc..."),
    "turn_marks": plain(
        "It is four.<|im_end|>", "Four.\n\nHuman: And what is five?", "[INST] Say it again [/INST] four", "### Response:\nfour", "four</s>", "<extra_id_1>User"
    ),
    "unfilled_placeholder": plain("Dear [Your Name],", "Yours, [insert signature here]", "Hello {{first_name}}!", "Call <your phone number>."),
    "speaks_as_model": plain(
        "As an AI language model, I have no taste; tea is liked by many.",
        "Tea is fine. I'm just an AI, so ask a friend.",
        "I was trained by OpenAI.",
        "As of my last update, tea costs two pounds.",
    ),
    "mostly_white_space": plain("a" + " " * 60 + "b", "\n" * 50 + ENGLISH[:20]),
    "words_without_letters": plain(
        "12 34 56 78 90 12 34 56 78 90 12 34 56 78 90 1 2 3 4 5 6 7 8 sum", "--- === +++ *** ### --- === +++ *** ### --- === --- === --- yes"
    ),
    "endless_word": plain("iVBORw0KGgo" * 20, f"{ENGLISH} {'ha' * 120}!"),
    "dominant_ngram": [*plain("I see the cat and I see the dog " + "and so on " * 12), (said("no " * 30), {"n": 1})],
    "html_tags": plain("<p>Tea</p><br/>stands four minutes.", "Tea&nbsp;is&nbsp;fine&amp;good", '<div class="a"><span>x</span></div>'),
    "social_security_number": plain("It is 219-09-4567.", "SSN 536 22 8714 on file"),
    "access_key": plain(
        f"Set AWS_ACCESS_KEY_ID={'AKIA'}QZ7WX3VN5RT2MB9K now",
        f"token: {'ghp'}_a8Kd03LsmQ29xzPvNfRt51bYcWuE64hGjT7i",
        f"{'sk'}-proj-Qw8nZx4vB7mK2pLr9sTy3uHd6fGj1aEc",
        f"{'-----BEGIN RSA'} PRIVATE KEY-----\nMIIEowIBAAKCAQEAx3f9k\nQ7w==\n-----END RSA PRIVATE KEY-----",
        f"Bearer {'eyJhbGci'}OiJIUzI1NiJ9.{'eyJzdWIi'}OiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    ),
    "bank_account": plain("To DE89 3704 0044 0532 0130 00 please", "GB29NWBK60161331926819.", "FR14 2004 1010 0505 0001 3M02 606 AND MORE"),
    "unbalanced_latex": plain(
        r"So $$x^2 = 4", r"\(x", r"\[ x \)", r"\begin{align} x", r"\begin{align} x \end{equation}", r"$$\frac{1}{2$$", r"\(\sqrt{x}}\)", r"x \]"
    ),
    "unparsable_python": plain("```python\ndef double(x)\n    return 2 * x\n```", "```py\nprint 1\n```", f"{PYTHON}\n\n```Python\nx = (1\n```"),
}
FALSE: Examples = {
    "too_short": [(said("It is four."), {"words": 3}), (said("Yes.", ENGLISH), {}), (said("这是一个很好的回答"), {"words": 4})],
    "too_long": [(said("word " * 10), {"words": 10}), (said(ENGLISH), {})],
    "truncated": [(said("And so it is."), {})],
    "refusal": [
        (said(ENGLISH), {}),
        (said("I can't believe how well rust shows what iron does."), {}),
        (said("Sorry to hear that your bicycle was stolen. First, tell the police."), {}),
        (said("She said: 'I cannot help you', and went away."), {}),
        (said("As an aid to memory, write the steps down. I cannot stress this enough."), {}),
        (said("I cannot recommend it enough: read the manual."), {}),
    ],
    "repeated_ngrams": [(said(ENGLISH), {}), (said("go on"), {}), (said("the cat and the dog and the cat"), {"n": 3, "share": 0.5})],
    "wrong_language": [
        (said(ENGLISH), {}),
        (said(GERMAN), {"language": "de"}),
        (said("Ja, das ist gut."), {}),
        (said("```python\nfür = [eins for eins in range(10) if eins > zwei and nicht_das and auch_nicht_jenes]\n```"), {}),
        (said(r"$$\int_0^1 x^2 \, dx = \frac{1}{3}$$ 1 2 3 4 5 6 7 8 9"), {}),
    ],
    "below_reward": [
        (rewarded(said("x"), 2.0), {"minimum": 2.0}),
        (said("x"), {"minimum": 2.0}),
        (rewarded(said("x"), 0.0), {"minimum": 1.0, "attribute": "helpfulness"}),
    ],
    "wrong_answer": [(verified(said("4"), passed=True), {}), (said("4"), {})],
    "too_many_tokens": [(replace(said(ENGLISH), prompt_tokens=60, completion_tokens=40), {"tokens": 100}), (said(ENGLISH), {})],
    "odd_word_length": plain(ENGLISH, GERMAN, "a b c", "茶壶把水烧开，然后茶需要泡大约四分钟才可以喝。"),
    "unfinished_sentence": plain(
        ENGLISH,
        "42",
        "Yours sincerely",
        "Tea:\n- boil the water and then pour it over the leaves",
        "1. boil the water and then pour it over the leaves",
        f"Here is a function that gives back the double:\n{PYTHON}",
        "The kettle, the pot and the cup cost together 42",
        "He said: “The tea has to stand for about four minutes.”",
    ),
    "open_code_fence": plain(PYTHON, "Use ``` to open a block.", ENGLISH),
    "repeated_lines": plain("Boil it.\nPour it.\nBoil it.\nDrink it.", "a\n\n\n\nb", "| a |\n|---|\n| b |\n|---|\n", ENGLISH),
    "repeated_paragraphs": plain(f"{ENGLISH}\n\n{GERMAN}", "one\n\n\n\ntwo\n\nthree", ENGLISH),
    "echoed_prompt": [
        (asked("How long does black tea have to stand in the pot?", "Black tea has to stand for four minutes."), {}),
        (asked("What is tea?", "What is tea? Leaves in water."), {}),
        (asked("What is tea?", "What is tea? Leaves in water."), {"words": 4}),
    ],
    "too_many_symbols": plain(ENGLISH, "!?", PYTHON),
    "mostly_uppercase": plain(ENGLISH, "NASA", "茶壶把水烧开，然后茶需要泡大约四分钟才可以喝。" * 2),
    "mostly_digits": plain(ENGLISH, "42", "17 + 26 = 43, because 7 + 6 = 13 and 10 + 20 + 10 = 40; the sum is 43."),
    "unprintable": [*plain(f"{ENGLISH}\n\tIndented\r\n", "naïve 茶 😀 👩‍🚀 \u00ad"), (said("lost \ufffd mark"), {"most": 1})],
    "mojibake": plain("A café in São Paulo", "It’s fine", "£5 and 20 °C", "ÂNGELA", "😀", "JOÃO"),
    "too_many_links": plain(f"{ENGLISH} More is at https://tea.example.", ENGLISH),
    "boilerplate": plain(
        "The site's terms of service bind you.", "A cookie policy says which cookies are set; write it in plain words.\nThen publish it.", ENGLISH
    ),
    "profanity": [(said(text), {"words": RUDE}) for text in (ENGLISH, "Botheration!", "An old, grey goat.")],
    "email_address": plain("jane@example.com", "a@b", "@handle", "x@host.test", ENGLISH),
    "phone_number": plain("555-0142", "212-555-0142", "2 + 2 = 4", "In 1999-2003 there were 1,234,567.", "3.14159265358979", "+1", "10-12-2024"),
    "ip_address": plain("192.168.0.1", "127.0.0.1", "203.0.113.7", "999.1.1.1", "version 1.2.3", ENGLISH),
    "payment_card": plain(" ".join(map(str, range(1, 60))), "4539 1488 0343 6468", "4000000000000000000", "1234 5678", "3.14159265358979323846", ENGLISH),
    "mostly_bullets": plain(ENGLISH, "- a\n- b\n- c", "Tea, step by step:\n\n" + "\n".join(f"- step {one}\nDo it well." for one in range(6))),
    "mostly_ellipses": plain(ENGLISH, "Well ... it boils.", "a\nb\nc ...\nd", "Wait..."),
    "turn_marks": plain(ENGLISH, "```\n<|im_end|>\n```", "The mark `</s>` ends a text.", "The user: a person who asks.", "Humans drink tea."),
    "unfilled_placeholder": plain(
        ENGLISH, "An interval [a, b] is closed.", "```\n{{ name }}\n```", "See [the manual](x).", "if a < b and c > d", "[1] A footnote"
    ),
    "speaks_as_model": plain(ENGLISH, "An AI language model predicts words.", "As an aid to memory, write it down.", "OpenAI is a company."),
    "mostly_white_space": plain(ENGLISH, "a   b", PYTHON),
    "words_without_letters": plain(ENGLISH, "2 + 2 = 4", "茶壶把水烧开，然后茶需要泡大约四分钟才可以喝。" * 2, PYTHON),
    "endless_word": plain(ENGLISH, "茶" * 400, f"See https://tea.example/{'a' * 300}", (" ".join(["word"] * 100))),
    "dominant_ngram": [
        *plain(ENGLISH, "no no no", PYTHON),
        (said("yes and no and yes and no and yes and no and yes, and no, and more yes and no"), {"share": 0.5}),
    ],
    "html_tags": plain(ENGLISH, "```html\n<p>Tea</p><br/>\n```", "Use `<p>`, `<b>` and `<i>`.", "if a < b and c > d: x<y>z", "<p>One"),
    "social_security_number": plain("078-05-1120", "000-12-3456", "666-12-3456", "912-34-5678", "123-00-4567", "Call 212-736-5000.", "219094567", ENGLISH),
    "access_key": plain(
        f"{'AKIA'}IOSFODNN7EXAMPLE", f"{'sk'}-{'x' * 40}", f"{'ghp'}_short", "a-task-list of sk-8 items", "-----BEGIN CERTIFICATE-----", ENGLISH
    ),
    "bank_account": plain("DE89 3704 0044 0532 0130 01", "AB12", "GPT4 TURBO 2024 MODEL", ENGLISH),
    "unbalanced_latex": plain(
        r"$$x^2 = 4$$ and \(y\)",
        r"\begin{pmatrix} 1 & 2 \\[2pt] 3 & 4 \end{pmatrix}",
        r"It costs $5, or $6.",
        r"`\(` opens a formula.",
        "```latex\n\\[ x\n```",
        r"$$\left\{ x \right.$$",
        r"\[\begin{cases} 1 \\ 2 \end{cases}\]",
        ENGLISH,
    ),
    "unparsable_python": plain(
        PYTHON, "```python\n>>> 1 +\n```", "```js\nlet x = ;\n```", "  ```python\n  x = 1\n  ```", "```python\n%timeit x\n```", "```python\n'\\d'\n```", ENGLISH
    ),
}
