"""The config that mmengine's Runner writes into a checkpoint, as Python text; it is never run."""

import ast
from contextlib import suppress
from typing import Any

from mmengine.config import Config


def parse_config(text: str) -> Config:
    """The text that ``Config.pretty_text`` gives, without running it.

    Raises:
        ValueError: If it holds anything but assignments of literals and calls of ``dict``.
    """
    values = {}
    try:
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                raise ValueError(f'line {statement.lineno} is no assignment')
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                raise ValueError(f'line {statement.lineno} does not assign to a name')
            values[target.id] = _literal(statement.value)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f'the config in the checkpoint cannot be read: {error}') from error
    return Config(values)


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        result: dict[Any, Any] = {}
        for argument in node.args:  # dict({'not.a.name': 1})
            result.update(_literal(argument))
        for keyword in node.keywords:
            value = _literal(keyword.value)
            result.update(value if keyword.arg is None else {keyword.arg: value})
        return result
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError(f'line {node.lineno} unpacks a dict')
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)


def written_model(text: str) -> dict[str, Any]:
    """The ``model`` of such a text; empty when there is none, or the text is another one."""
    with suppress(ValueError):
        return parse_config(text).to_dict().get('model', {})
    return {}
