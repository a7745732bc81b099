"""What a component accepts, read from its signature."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

# Given by the Runner or by the registry that builds the component, not by the config.
INJECTED = {'self', 'runner', 'dataloader', 'evaluator', 'params', 'optimizer'}
INJECTED |= {
    'dataset',
    'sampler',
    'batch_size',
    'seed',
    'module',
    'param_name',
    'name',
    'save_dir',
    'data_batch',
}
_NUMBERS = {bool, int, float}
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def accepted_arguments(component: Callable) -> dict[str, inspect.Parameter] | None:
    """Arguments of a class or function by name; None when it accepts any.

    Where ``__init__`` passes ``**kwargs`` on, the parents' arguments count too.
    """
    if not inspect.isclass(component):
        parameters = inspect.signature(component).parameters.values()
        return None if _is_open(parameters) else {p.name: p for p in parameters}
    accepted: dict[str, inspect.Parameter] = {}
    for owner in component.__mro__:
        init = vars(owner).get('__init__')
        if init is None or owner is object:
            continue
        try:
            parameters = inspect.signature(init).parameters.values()
        except ValueError:  # written in C
            return None
        for parameter in parameters:
            if parameter.kind in _KEYWORDS:
                accepted.setdefault(parameter.name, parameter)
        if not _is_open(parameters):
            return accepted
    return None


def argument_problems(component: Callable, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Arguments that a component does not accept or misses: (name, what is wrong)."""
    accepted = accepted_arguments(component)
    if accepted is None:
        return []
    name = getattr(component, '__name__', str(component))
    known = sorted(set(accepted) - INJECTED)
    problems = [
        (key, f'{name} has no such argument{suggestion(key, known)}')
        for key in given
        if key not in accepted
    ]
    own = inspect.signature(component).parameters
    missing = [
        key
        for key, parameter in own.items()
        if parameter.kind in _KEYWORDS
        and parameter.default is parameter.empty
        and key not in given
        and key not in INJECTED
    ]
    return problems + [(key, f'{name} needs this argument') for key in missing]


def type_problems(component: Callable, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Values that are not of the annotated type: (name, what is wrong)."""
    function = component.__init__ if inspect.isclass(component) else component
    hints = typing.get_type_hints(function)
    return [
        (key, _wrong_type(value, hints[key]))
        for key, value in given.items()
        if key in hints and not fits(value, hints[key])
    ]


def scalar_problems(component: Callable, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Texts given for numbers and the other way round: (name, what is wrong).

    For components of other packages, whose annotations are too loose to be held to. Where there is
    none, the default tells the type.
    """
    function = component.__init__ if inspect.isclass(component) else component
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # names that are imported for type checkers only
        hints = {}
    problems = []
    for key, parameter in (accepted_arguments(component) or {}).items():
        value = given.get(key)
        if type(value) not in (str, int, float):
            continue
        default = parameter.default
        hint = hints.get(key, type(default) if type(default) in _NUMBERS else Any)
        kinds = set(typing.get_args(hint)) or {hint}
        if not all(isinstance(kind, type) for kind in kinds):
            continue  # nothing is known, or too much
        wrong = kinds & (_NUMBERS if isinstance(value, str) else {str})
        if wrong and not fits(value, hint):
            problems.append((key, _wrong_type(value, hint)))
    return problems


def fits(value: Any, hint: Any) -> bool:
    """Whether a config value can be meant by a type hint.

    An integer serves for a float, a list for a tuple and the other way round. What is not checked
    fits.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if hint is None or hint is type(None):
        return value is None
    if origin is typing.Literal:
        return value in arguments
    kind = origin or hint
    if kind is bool or isinstance(value, bool):
        return kind in (bool, object) and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    if kind in (list, tuple, set, frozenset, Sequence) or kind is typing.Sequence:
        if not isinstance(value, list | tuple):
            return False
        if kind is tuple and arguments and arguments[-1] is not Ellipsis:
            return len(value) == len(arguments) and all(map(fits, value, arguments))
        return not arguments or all(fits(item, arguments[0]) for item in value)
    if kind in (dict, Mapping):
        return isinstance(value, Mapping)
    if kind is Callable:
        return callable(value)
    return isinstance(value, kind) if isinstance(kind, type) else True


def suggestion(key: str, known: Sequence[str]) -> str:
    """The rest of a sentence: which of the known names is meant, or all of them."""
    close = get_close_matches(key, known, n=1) or [k for k in known if k.startswith(key)]
    if close:
        return f'; did you mean {close[0]!r}?'
    return f'; it has {", ".join(known)}' if known else '; it has none'


def _is_open(parameters: typing.Iterable[inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _wrong_type(value: Any, hint: Any) -> str:
    expected = hint.__name__ if isinstance(hint, type) else str(hint).replace('typing.', '')
    return f'must be {expected}, got {value!r} ({type(value).__name__})'
