module order-invoice

go 1.24
