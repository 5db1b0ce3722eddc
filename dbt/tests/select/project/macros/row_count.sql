{% test row_count(model) %} select 1 as n from {{ model }} having count(*) < 0 {% endtest %}
