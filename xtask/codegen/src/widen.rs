//! Changes to the model before code generation; the spec stays as the vendor's page has it.

use openapiv3::{OpenAPI, ReferenceOr, Schema, SchemaKind, StatusCode, Type};

/// Accepts any 2xx instead of the documented one, and leaves the defaults of request members to the
/// server.
///
/// A server that answers 201 where 200 is documented has done what was asked. And progenitor always
/// sends a member that has a default, so an update would set members that its caller left out.
pub fn widen(model: &mut OpenAPI) {
    for (_, path) in &mut model.paths.paths {
        let ReferenceOr::Item(item) = path else {
            continue;
        };
        for operation in [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
        {
            let responses = std::mem::take(&mut operation.responses.responses);
            operation.responses.responses = responses
                .into_iter()
                .map(|(code, response)| match code {
                    StatusCode::Code(200..300) => (StatusCode::Range(2), response),
                    code => (code, response),
                })
                .collect();
        }
    }
    if let Some(components) = &mut model.components {
        for (_, schema) in &mut components.schemas {
            if let ReferenceOr::Item(schema) = schema {
                strip_defaults(schema);
            }
        }
    }
}

fn strip_defaults(schema: &mut Schema) {
    schema.schema_data.default = None;
    if let SchemaKind::Type(Type::Object(object)) = &mut schema.schema_kind {
        for (_, member) in &mut object.properties {
            if let ReferenceOr::Item(member) = member {
                strip_defaults(member);
            }
        }
    }
}
