from sqlglot import exp


def to_duckdb(tree: exp.Expr) -> exp.Expr:
    return tree
