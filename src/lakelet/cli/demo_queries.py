"""Five questions an analyst asks first."""

QUERIES: tuple[tuple[str, str], ...] = (
    (
        "Events by type",
        """
SELECT event_type, count(DISTINCT user_id) AS visitors, count(*) AS events
FROM events
GROUP BY event_type
ORDER BY events DESC
""",
    ),
    (
        "Daily revenue",
        """
SELECT event_date, count(DISTINCT session_id) AS sessions,
       count_if(event_type = 'purchase') AS purchases,
       round(sum(revenue), 2) AS revenue
FROM events
GROUP BY event_date
ORDER BY event_date
""",
    ),
    (
        "Top products",
        """
SELECT product_name, product_category, sum(quantity) AS sold, round(sum(revenue), 2) AS revenue
FROM events
WHERE event_type = 'purchase'
GROUP BY product_name, product_category
ORDER BY revenue DESC
LIMIT 8
""",
    ),
    (
        "Conversion funnel",
        """
WITH sessions AS (
  SELECT session_id,
         bool_or(event_type = 'page_view' AND product_id IS NOT NULL) AS viewed,
         bool_or(event_type = 'add_to_cart') AS added,
         bool_or(event_type = 'purchase') AS bought
  FROM events
  GROUP BY session_id
)
SELECT step, sessions, round(100.0 * sessions / max(sessions) OVER (), 1) AS percent
FROM (
  SELECT 1 AS position, 'visited' AS step, count(*) AS sessions FROM sessions
  UNION ALL SELECT 2, 'viewed a product', count_if(viewed) FROM sessions
  UNION ALL SELECT 3, 'added to cart', count_if(added) FROM sessions
  UNION ALL SELECT 4, 'bought', count_if(bought) FROM sessions
)
ORDER BY position
""",
    ),
    (
        "Hourly traffic (UTC)",
        """
SELECT hour, count(*) AS events
FROM events
GROUP BY hour
ORDER BY hour
""",
    ),
)
