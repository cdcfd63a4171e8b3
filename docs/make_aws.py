"""Write what docs/aws.md takes from the code: python docs/make_aws.py

The picture, the roles' statements and the cost table stand between markers; the rest of the
page is written by hand.
"""

import re
from pathlib import Path

from lakelet.aws.cfn import REASONS
from lakelet.aws.diagram import diagram
from lakelet.aws.estimate import Traffic, planned_bill
from lakelet.aws.settings import AwsSettings
from lakelet.aws.site import load_site
from lakelet.aws.template import build_template
from lakelet.watch.prices import load_prices

TARGET = Path(__file__).with_name("aws.md")
VOLUMES = (1_000_000, 30_000_000, 1_000_000_000)


def parts() -> dict[str, str]:
    site = load_site(None)
    template = build_template(site)
    return {
        "diagram": f"```mermaid\n{diagram(template)}```",
        "statements": _statements(template),
        "costs": _costs(),
    }


def _statements(template: dict) -> str:
    lines = ["| role | statement | actions | why |", "|---|---|---|---|"]
    for name, made in template["Resources"].items():
        if made["Type"] != "AWS::IAM::Role":
            continue
        for one in made["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
            actions = "<br>".join(f"`{action}`" for action in one["Action"])
            reason = made["Metadata"][REASONS][one["Sid"]]
            lines.append(f"| {name.removesuffix('Role')} | {one['Sid']} | {actions} | {reason} |")
    return "\n".join(lines)


def _costs() -> str:
    site, prices = load_site(None), load_prices()
    lines = ["| USD a month |" + "".join(f" {volume:,} events |" for volume in VOLUMES)]
    lines.append("|---|" + "--:|" * len(VOLUMES))
    bills = [
        planned_bill(site.pipeline, AwsSettings(partitions="projection"), Traffic(volume), prices)
        for volume in VOLUMES
    ]
    names = list(dict.fromkeys(line.component for bill in bills[::-1] for line in bill.lines))
    lines += [
        f"| {name} |" + "".join(f" {bill.of(name):,.2f} |" for bill in bills) for name in names
    ]
    total = "".join(f" **{bill.dollars:,.2f}** |" for bill in bills)
    lines.append(f'| **with `partitions = "projection"`** |{total}')
    for schedule in ("rate(1 day)", "rate(1 hour)"):
        crawler = type(site.pipeline.crawler)(schedule=schedule)
        pipeline = type(site.pipeline)(crawler=crawler)
        crawled = [planned_bill(pipeline, AwsSettings(), Traffic(v), prices) for v in VOLUMES]
        dollars = "".join(f" **{bill.dollars:,.2f}** |" for bill in crawled)
        lines.append(f"| **with a crawler, `{schedule}`** |{dollars}")
    source = f"Prices of {prices.region}, {prices.date}: {prices.source}."
    return "\n".join(lines) + f"\n\n{source}"


def filled(text: str) -> str:
    for name, body in parts().items():
        pattern = re.compile(rf"(<!-- {name}: .*?-->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, body=body: found[1] + body + found[2], text)
    return text


if __name__ == "__main__":
    TARGET.write_text(filled(TARGET.read_text("utf-8")), "utf-8")
