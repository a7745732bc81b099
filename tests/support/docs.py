"""Commands and code of the pages of the documentation."""

import re
import shlex

COMMAND = re.compile(
    r'\s*(?:\w+=\S+ +)*((?:python|pip install|(?:\./)?tools/\w+\.sh|mmmae_st(?= \w)) .*)'
)
FENCE = re.compile(r'^ *```(\w+)\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


def blocks(page, language):
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


def commands(page):
    """The commands of a page as lists of words, [optional] ones included, comments left out.

    Those with variables of the shell are not among them.
    """
    for line in page.read_text().replace('\\\n', ' ').splitlines():
        match = COMMAND.match(line)
        if match and '$' not in line:
            command = re.sub(r' \[([^]]*)\]', r' \1', match[1].split('  #')[0])
            yield shlex.split(command)
