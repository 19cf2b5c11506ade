SELECT question FROM asked WHERE operation = '${operation}'
