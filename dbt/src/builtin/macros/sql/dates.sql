{# Dates and intervals. #}

{% macro date(year, month, day) %}{{ return(adapter.dispatch('date', 'dbt')(year, month, day)) }}{% endmacro %}
{% macro default__date(year, month, day) -%}
  to_date('{{ modules.datetime.date(year, month, day).strftime("%Y-%m-%d") }}', 'YYYY-MM-DD')
{%- endmacro %}
{% macro duckdb__date(year, month, day) -%} make_date({{ year }}, {{ month }}, {{ day }}) {%- endmacro %}

{% macro date_trunc(datepart, date) %}{{ return(adapter.dispatch('date_trunc', 'dbt')(datepart, date)) }}{% endmacro %}
{% macro default__date_trunc(datepart, date) -%} date_trunc('{{ datepart }}', {{ date }}) {%- endmacro %}

{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
  {{ return(adapter.dispatch('dateadd', 'dbt')(datepart, interval, from_date_or_timestamp)) }}
{%- endmacro %}
{% macro default__dateadd(datepart, interval, from_date_or_timestamp) -%}
  dateadd( {{ datepart }}, {{ interval }}, {{ from_date_or_timestamp }} )
{%- endmacro %}
{# An interval literal cannot hold an expression, so one unit is multiplied; quarters and weeks count in smaller units. #}
{% macro duckdb__dateadd(datepart, interval, from_date_or_timestamp) -%}
  {%- set unit = datepart | lower -%}
  {%- set count = 'cast(' ~ interval ~ ' as bigint)' -%}
  {%- if unit == 'quarter' -%}{%- set count, unit = '(' ~ count ~ ' * 3)', 'month' -%}
  {%- elif unit == 'week' -%}{%- set count, unit = '(' ~ count ~ ' * 7)', 'day' -%}
  {%- endif -%}
  ({{ from_date_or_timestamp }} + {{ count }} * interval 1 {{ unit }})
{%- endmacro %}
{% macro postgres__dateadd(datepart, interval, from_date_or_timestamp) -%}
  {{ from_date_or_timestamp }} + ((interval '1 {{ datepart }}') * ({{ interval }}))
{%- endmacro %}

{% macro datediff(first_date, second_date, datepart) -%}
  {{ return(adapter.dispatch('datediff', 'dbt')(first_date, second_date, datepart)) }}
{%- endmacro %}
{% macro default__datediff(first_date, second_date, datepart) -%}
  datediff( {{ datepart }}, {{ first_date }}, {{ second_date }} )
{%- endmacro %}
{# Weeks begin on Sunday: whole weeks between the dates, corrected by one where a week boundary lies in the rest. #}
{% macro _datediff_weeks(first_date, second_date, division) -%}
  ({{ datediff(first_date, second_date, 'day') }} {{ division }} 7 + case
    when date_part('dow', ({{ first_date }})::timestamp) <= date_part('dow', ({{ second_date }})::timestamp) then
      case when {{ first_date }} <= {{ second_date }} then 0 else -1 end
    else
      case when {{ first_date }} <= {{ second_date }} then 1 else 0 end
  end)
{%- endmacro %}
{% macro duckdb__datediff(first_date, second_date, datepart) -%}
  {%- if datepart == 'week' -%}
    {{ dbt._datediff_weeks(first_date, second_date, '//') }}
  {%- else -%}
    (date_diff('{{ datepart }}', {{ first_date }}::timestamp, {{ second_date }}::timestamp ))
  {%- endif -%}
{%- endmacro %}
{% macro postgres__datediff(first_date, second_date, datepart) -%}
  {#- Each finer unit builds on a coarser one: (coarser unit, how many to one, type, whether parts are fractions). -#}
  {%- set units = {
    'quarter': ('year', 4, 'date', false),
    'month': ('year', 12, 'date', false),
    'hour': ('day', 24, 'timestamp', false),
    'minute': ('hour', 60, 'timestamp', false),
    'second': ('minute', 60, 'timestamp', true),
    'millisecond': ('minute', 60000, 'timestamp', true),
    'microsecond': ('minute', 60000000, 'timestamp', true),
  } -%}
  {%- if datepart == 'year' -%}
    (date_part('year', ({{ second_date }})::date) - date_part('year', ({{ first_date }})::date))
  {%- elif datepart == 'day' -%}
    (({{ second_date }})::date - ({{ first_date }})::date)
  {%- elif datepart == 'week' -%}
    {{ dbt._datediff_weeks(first_date, second_date, '/') }}
  {%- elif datepart in units -%}
    {%- set coarser, factor, type, fraction = units[datepart] -%}
    {%- set open, close = ('floor(', ')') if fraction else ('', '') -%}
    ({{ datediff(first_date, second_date, coarser) }} * {{ factor }} + {{ open }}date_part('{{ datepart }}', ({{ second_date }})::{{ type }}){{ close }} - {{ open }}date_part('{{ datepart }}', ({{ first_date }})::{{ type }}){{ close }})
  {%- else -%}
    {{ exceptions.raise_compiler_error("Unsupported datepart for macro datediff in postgres: {!r}".format(datepart)) }}
  {%- endif -%}
{%- endmacro %}

{% macro last_day(date, datepart) %}{{ return(adapter.dispatch('last_day', 'dbt')(date, datepart)) }}{% endmacro %}
{% macro default_last_day(date, datepart) -%}
  cast( {{ dbt.dateadd('day', '-1', dbt.dateadd(datepart, '1', dbt.date_trunc(datepart, date))) }} as date)
{%- endmacro %}
{% macro default__last_day(date, datepart) -%} {{ dbt.default_last_day(date, datepart) }} {%- endmacro %}
{# Intervals have no quarters on these two. #}
{% macro _last_day_of_quarter(date) -%}
  cast( {{ dbt.dateadd('day', '-1', dbt.dateadd('month', '3', dbt.date_trunc('quarter', date))) }} as date)
{%- endmacro %}
{% macro duckdb__last_day(date, datepart) -%}
  {{ dbt._last_day_of_quarter(date) if datepart == 'quarter' else dbt.default_last_day(date, datepart) }}
{%- endmacro %}
{% macro postgres__last_day(date, datepart) -%}
  {{ dbt._last_day_of_quarter(date) if datepart == 'quarter' else dbt.default_last_day(date, datepart) }}
{%- endmacro %}
