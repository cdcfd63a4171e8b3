{{ config(materialized='table', persist_docs={'relation': true, 'columns': true}) }}
select event_date, count(*) as purchases, round(sum(revenue), 2) as revenue
from {{ ref('purchases') }}
group by event_date
