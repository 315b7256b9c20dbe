-- Prediction by softmax regression, in SQL for SQLite; written by softreg 0.1.0.
-- Adds the column 'prediction' and the probability of each class: 'a', 'b'.
-- They are NULL for a row with an invalid value: an infinite number, a word that is no boolean or no number, a vector
--   of another length, or a missing value of a required column.
-- SQLite 3.35 or later with its functions of mathematics (SQLITE_ENABLE_MATH_FUNCTIONS) and of JSON.
-- Times are text such as 2020-01-31, 2020-01-31 18:30, 2020-01-31 18:30:15.25 or 18:30, or seconds since 1970; other
--   text is invalid, as are times with a time zone. Durations are numbers of seconds. Tags are text: a JSON array of
--   strings.
-- Columns:
--   numbers: 'x0'; required
SELECT "softreg:row".*,
CASE json_extract("softreg:result".value, '$[0]') WHEN 0 THEN 'a' WHEN 1 THEN 'b' END AS "prediction",
json_extract("softreg:result".value, '$[1]') AS "a",
json_extract("softreg:result".value, '$[2]') AS "b"
FROM "input" AS "softreg:row", json_each((WITH s0 AS (
SELECT coalesce(CASE typeof("softreg:row"."x0") WHEN 'real' THEN "softreg:row"."x0" WHEN 'integer' THEN CAST("softreg:row"."x0" AS REAL) WHEN 'text' THEN CASE WHEN trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288)) IN ('') THEN NULL WHEN lower(trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288))) = 'true' THEN 1.0 WHEN lower(trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288))) = 'false' THEN 0.0 WHEN CASE WHEN trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288)) NOT GLOB '*[^-+0-9.eE]*' THEN json_valid(trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288))) ELSE 0 END THEN CAST(trim(CAST("softreg:row"."x0" AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288)) AS REAL) ELSE 9e999 END WHEN 'null' THEN NULL ELSE 9e999 END, 9e999) AS x0_0
LIMIT 1), s1 AS (
SELECT (x0_0 IS NULL OR abs(x0_0) <= 1.7976931348623157e+308) AS valid, x0_0 AS f0
FROM s0
LIMIT 1), s2 AS (
SELECT CASE WHEN valid THEN (0.4770193857671994e0 + f0 * (-1.0512289918026634e0)) END AS z0, CASE WHEN valid THEN (-0.4770193857671994e0 + f0 * 1.0512289918026634e0) END AS z1
FROM s1
LIMIT 1), s3 AS (
SELECT z0, z1, CASE WHEN abs((z0 + z1)) <= 1.7976931348623157e+308 THEN max(z0, z1) END AS m
FROM s2
LIMIT 1), s4 AS (
SELECT z0 - m AS d0, z1 - m AS d1
FROM s3
LIMIT 1), s5 AS (
SELECT exp(d0) AS e0, exp(d1) AS e1
FROM s4
LIMIT 1), s6 AS (
SELECT e0, e1, (e0 + e1) AS s
FROM s5
LIMIT 1), s7 AS (
SELECT CASE WHEN s > 0.0e0 THEN e0 / s END AS p0, CASE WHEN s > 0.0e0 THEN e1 / s END AS p1
FROM s6
LIMIT 1), s8 AS (
SELECT p0, p1, max(p0, p1) AS b
FROM s7
LIMIT 1), s9 AS (
SELECT p0, p1, CASE WHEN p0 = b THEN 0 WHEN p1 = b THEN 1 END AS w
FROM s8
LIMIT 1)
SELECT json_array('[' || w || ',' || (printf('%!.17g', p0) || ',' || printf('%!.17g', p1)) || ']') FROM s9 LIMIT 1)) AS "softreg:result"
