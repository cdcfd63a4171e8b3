"""Output columns as Athena names them: `_col0` where a query gives no name."""

from sqlglot import exp


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
