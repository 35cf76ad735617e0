//! A snapshot in the words of Croissant 1.1, the metadata format of datasets for machine learning
//! (<http://mlcommons.org/croissant/1.1>).

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use stedi_openapi::{Manifest, SnapshotColumn, SnapshotTable};

/// What the format says of itself.
const CONFORMS_TO: &str = "http://mlcommons.org/croissant/1.1";
/// The media type of Parquet files, as the format has it.
const PARQUET: &str = "application/x-parquet";

/// The JSON-LD of a snapshot. `base` is where its files are: a URL without a slash in the end.
pub fn croissant(manifest: &Manifest, base: &str) -> Value {
    let name = manifest.name.as_ref().unwrap_or(&manifest.id);
    let published = DateTime::from_timestamp_millis(manifest.created).unwrap_or_default();
    let mut distribution = Vec::new();
    let mut sets = Vec::new();
    for table in &manifest.tables {
        let files: Vec<Value> = table
            .files
            .iter()
            .map(|file| {
                json!({
                    "@type": "cr:FileObject",
                    "@id": file.path,
                    "name": file.path,
                    "contentUrl": format!("{base}/files/{}", file.sha256),
                    "contentSize": format!("{} B", file.bytes),
                    "encodingFormat": PARQUET,
                    "sha256": file.sha256,
                })
            })
            .collect();
        let contained: Vec<Value> =
            table.files.iter().map(|file| json!({ "@id": file.path })).collect();
        distribution.extend(files);
        let set = format!("{}-files", table.table);
        distribution.push(json!({
            "@type": "cr:FileSet",
            "@id": set,
            "name": set,
            "containedIn": contained,
            "encodingFormat": PARQUET,
            "includes": format!("{}/*.parquet", table.table),
        }));
        sets.push(record_set(table, &set));
    }
    let derived: Vec<Value> = manifest
        .tables
        .iter()
        .flat_map(|table| {
            table.sources.iter().map(|(source, version)| json!(format!("{source}@{version}")))
        })
        .collect();
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        "description": format!(
            "Snapshot {} of {}, of those who consented when it was made.",
            manifest.id,
            manifest.tables.iter().map(|it| it.table.as_str()).collect::<Vec<_>>().join(", "),
        ),
        "url": base,
        "version": version(manifest),
        "datePublished": published.to_rfc3339_opts(SecondsFormat::Secs, true),
        "creator": { "@type": "sc:Organization", "name": manifest.created_by },
        "license": "https://spdx.org/licenses/LicenseRef-Research-Consent",
        "citeAs": format!("stedi-snapshot:{}", manifest.id),
        "isLiveDataset": false,
        "prov:wasDerivedFrom": derived,
        "rai:personalSensitiveInformation":
            "Sensor readings of people under a pseudonym; nothing that names anybody.",
        "rai:dataLimitations":
            "Rows are taken out when somebody withdraws their consent: then this snapshot is superseded.",
        "distribution": distribution,
        "recordSet": sets,
    })
}

/// A redaction is a major version: rows were removed.
fn version(manifest: &Manifest) -> &'static str {
    match manifest.redacts {
        None => "1.0.0",
        Some(_) => "2.0.0",
    }
}

fn record_set(table: &SnapshotTable, set: &str) -> Value {
    let field = |column: &SnapshotColumn| {
        json!({
            "@type": "cr:Field",
            "@id": format!("{}/{}", table.table, column.name),
            "name": format!("{}/{}", table.table, column.name),
            "description": format!("{} ({})", column.name, column.class),
            "dataType": data_type(&column.kind),
            "source": { "fileSet": { "@id": set }, "extract": { "column": column.name } },
        })
    };
    json!({
        "@type": "cr:RecordSet",
        "@id": table.table,
        "name": table.table,
        "description": format!("{} rows", table.rows),
        "field": table.schema.iter().map(field).collect::<Vec<_>>(),
    })
}

fn data_type(kind: &str) -> &'static str {
    match kind {
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" => "cr:Int64",
        "REAL" | "DOUBLE" => "cr:Float64",
        "BOOLEAN" => "sc:Boolean",
        "DATE" => "sc:Date",
        _ => "sc:Text",
    }
}

/// The context that the format asks for.
fn context() -> Value {
    let mut context = Map::new();
    for (name, value) in [
        ("@language", "en"),
        ("@vocab", "https://schema.org/"),
        ("citeAs", "cr:citeAs"),
        ("column", "cr:column"),
        ("conformsTo", "dct:conformsTo"),
        ("cr", "http://mlcommons.org/croissant/"),
        ("rai", "http://mlcommons.org/croissant/RAI/"),
        ("dct", "http://purl.org/dc/terms/"),
        ("prov", "http://www.w3.org/ns/prov#"),
        ("sc", "https://schema.org/"),
        ("equivalentProperty", "cr:equivalentProperty"),
        ("extract", "cr:extract"),
        ("field", "cr:field"),
        ("fileProperty", "cr:fileProperty"),
        ("fileObject", "cr:fileObject"),
        ("fileSet", "cr:fileSet"),
        ("format", "cr:format"),
        ("includes", "cr:includes"),
        ("isLiveDataset", "cr:isLiveDataset"),
        ("jsonPath", "cr:jsonPath"),
        ("key", "cr:key"),
        ("md5", "cr:md5"),
        ("parentField", "cr:parentField"),
        ("path", "cr:path"),
        ("recordSet", "cr:recordSet"),
        ("references", "cr:references"),
        ("regex", "cr:regex"),
        ("repeated", "cr:repeated"),
        ("replace", "cr:replace"),
        ("samplingRate", "cr:samplingRate"),
        ("separator", "cr:separator"),
        ("source", "cr:source"),
        ("subField", "cr:subField"),
        ("transform", "cr:transform"),
    ] {
        context.insert(name.to_owned(), json!(value));
    }
    context.insert("data".to_owned(), json!({ "@id": "cr:data", "@type": "@json" }));
    context.insert("dataType".to_owned(), json!({ "@id": "cr:dataType", "@type": "@vocab" }));
    context.insert("examples".to_owned(), json!({ "@id": "cr:examples", "@type": "@json" }));
    Value::Object(context)
}
