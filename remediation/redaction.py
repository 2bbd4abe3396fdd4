"""The last words of a foreign program, without what may be a secret in them.

A program that fails says why on its standard error, and sometimes with the token or password in it. So whatever looks
like one is left out: better a word too many.
"""

import re
from collections.abc import Iterable

GONE = "[redacted]"
_MOST_LINES = 3
_MOST_LENGTH = 240
_SHORTEST_SECRET = 4
_TAIL = 16384  # what stands before this is not looked at

_CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_NAME = (
    r"[\w.-]*(?:token|passw(?:or)?d|passphrase|passwd|pwd|secret|credential|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"pass(?![a-z])|client[_-]?key|authorization|assertion|signature|cookie|session[_-]?id|otp|pin|jwt|sas|saml\w*)"
    r"[\w.-]*"
)
# Quotes may be those of a text within a text: \"token\":\"…\".
_VALUE = r"(?:\\*(?:\"[^\"]*\"?|'[^']*'?)|[^\s,;&\"'})\]]+)"
# What has a name of its own: password=…, "token": "…", --client-secret …, Bearer …
# "Cannot refresh tokens: Reauthentication failed" has nothing secret behind the colon.
_NAMED = re.compile(
    rf"(?i)((?<![\w.-]){_NAME}(?:\\*[\"'])?(?!(?-i:(?<=tokens)|(?<=credentials)): [A-Z][a-z]+\b)"
    r"\s*(?:=>|[=:]|%3[ad])\s*)"
    rf"(?:(?:bearer|basic)\s+)?{_VALUE}"
)
_FLAG = re.compile(rf"(?i)((?<!\S)--?(?:p|{_NAME})\s+)(?!-){_VALUE}")
_SCHEME = re.compile(
    r"(?i)\b(bearer|basic|negotiate|token)(\s+)(?=\S*(?-i:[^a-z\s.,;:!?])|\S{24,})\S+"
)
# "the password hunter2 is wrong": a word that is none of plain letters.
_SPOKEN = re.compile(
    r"(?i)((?<![\w.-])[\w.-]*(?:password|passphrase|passwd|secret|token|\bpin|\botp|key)s?\s+(?:is\s+|was\s+)?[\"']?)"
    r"(?=[^\s\"']*[^a-zA-Z\s.,;:!?()\"'-])[^\s\"']+"
)
_JWT = re.compile(r"\beyJ[\w=+/-]+(?:\.[\w=+/-]*){0,4}")
# Up to the last @ of the word: passwords hold anything.
_USER_INFO = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)\S*@")
_QUERY = re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s?#]*)[?#]\S+")
_PEM = re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)", re.DOTALL)
# Without a name: the forms of well-known tokens, and runs of characters that no word has.
_KNOWN = re.compile(
    r"\b(?:gh[a-z]_|github_pat_|glpat-|gl[a-z]+-|xox[a-z]-|sk-|hv[a-z]\.|dckr_[a-z]+_|k8s-aws-v1\.|ya29\.)[\w.-]+"
    r"|\b[a-z0-9]{6}\.[a-z0-9]{16}\b"
)
_MIXED = re.compile(
    r"(?<![\w+/=-])(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*\d)[\w+/=-]{16,}"
)
_RUN = re.compile(r"(?<!\w)(?=[a-zA-Z]*\d)[A-Za-z0-9]{16,}|(?<!\w)[A-Za-z0-9+=_]{28,}")
_HEX = re.compile(r"(?<![\w-])(?:0x)?[0-9a-fA-F-]{24,}")


def last_words(output: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the last lines of a program's output as one short, printable text; "" if it said nothing.

    `secrets` are texts that must not be in it whatever they look like.
    """
    text = _CONTROLS.sub("", output[-_TAIL:].decode(errors="replace"))
    # A line break or a control character in the middle must not hide what belongs together.
    text = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    text = redacted(text, secrets)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    said = [line for line in lines if line][-_MOST_LINES:]
    return "; ".join(map(_short, said))


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without what may be a secret in it."""
    known = {line for secret in secrets for line in (secret, secret.strip())}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, GONE)
    text = _PEM.sub(GONE, text)
    text = _USER_INFO.sub(rf"\1{GONE}@", text)
    text = _QUERY.sub(rf"\1?{GONE}", text)
    text = _JWT.sub(GONE, text)
    text = _NAMED.sub(rf"\1{GONE}", text)
    text = _FLAG.sub(rf"\1{GONE}", text)
    text = _SCHEME.sub(rf"\1\2{GONE}", text)
    text = _SPOKEN.sub(rf"\1{GONE}", text)
    for form in (_KNOWN, _MIXED, _RUN, _HEX):
        text = form.sub(GONE, text)
    return text


def is_secret_name(name: str) -> bool:
    """Tell whether what has this name, of a variable or a flag, is likely to be a secret."""
    return re.fullmatch(rf"(?i)-*{_NAME}", name) is not None


def _short(line: str) -> str:
    return line if len(line) <= _MOST_LENGTH else f"{line[: _MOST_LENGTH - 1]}…"
