// Swagger UI over our own description; it asks nobody else (validatorUrl).
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, tryItOutEnabled: true, validatorUrl: null });
