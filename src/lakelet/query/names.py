"""Output columns as Athena names them: `_col0` where a query gives no name."""

from collections.abc import Mapping

from sqlglot import exp

from lakelet.query.analyse import Demand
from lakelet.query.bind import Bound


def name_outputs(tree: exp.Expr) -> exp.Expr:
    """Name each unnamed column of the outermost SELECT; the tree is changed in place."""
    select = tree
    while not isinstance(select, exp.Select):
        if isinstance(select, exp.Subquery | exp.SetOperation | exp.Paren):
            select = select.this
        else:
            return tree
    for index, item in enumerate(select.expressions):
        if isinstance(item, exp.Column | exp.Alias | exp.Star | exp.Dot | exp.Aliases):
            continue
        item.replace(exp.alias_(item.copy(), f"_col{index}", quoted=True))
    return tree


def hide_path(bound: Bound, demands: Mapping[str, Demand]) -> None:
    """Keep `$path` out of `*`: it is there for those who name it. Changes the tree."""
    for select in bound.tree.find_all(exp.Select):
        stars = [item for item in select.expressions if item.is_star]
        if not stars or not _has_path(select, demands):
            continue
        for item in stars:
            star = item if isinstance(item, exp.Star) else item.this
            star.set("except_", [exp.to_identifier("$path", quoted=True)])


def _has_path(select: exp.Select, demands: Mapping[str, Demand]) -> bool:
    from_ = select.args.get("from_") or select.args.get("from")
    sources = [from_, *(select.args.get("joins") or [])]
    return any(
        isinstance(source.this, exp.Table)
        and "$path" in demands.get(source.this.name, Demand()).columns
        for source in sources
        if source is not None
    )
