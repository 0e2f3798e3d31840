//! Panels of Grafana dashboards, as JSON.

use serde_json::{Value, json};

use crate::names::{UnknownFamily, expand};

/// The columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// A dashboard under construction. Panels are placed from left to right, row by row.
pub(crate) struct Board {
    panels: Vec<Value>,
    x: u64,
    y: u64,
    /// The height of the current row.
    height: u64,
}

/// What a panel shows.
pub(crate) struct Panel<'a> {
    /// Grafana's kind: `timeseries`, `stat`, `bargauge`, `heatmap`, `table`.
    pub(crate) kind: &'a str,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    /// Grafana's unit: `short`, `percentunit`, `s`, `bytes` …
    pub(crate) unit: &'a str,
    /// Width and height.
    pub(crate) size: (u64, u64),
    /// Queries, which name families by id, and their legends.
    pub(crate) queries: &'a [(&'a str, &'a str)],
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            panels: Vec::new(),
            x: 0,
            y: 0,
            height: 0,
        }
    }

    fn place(&mut self, (width, height): (u64, u64)) -> Value {
        if self.x + width > COLUMNS {
            self.x = 0;
            self.y += self.height;
            self.height = 0;
        }
        let position = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.height = self.height.max(height);
        position
    }

    /// Adds a panel.
    pub(crate) fn add(&mut self, panel: &Panel<'_>) -> Result<(), UnknownFamily> {
        // Tables and single figures show the last value only.
        let is_instant = matches!(panel.kind, "table" | "stat" | "bargauge");
        let mut targets = Vec::new();
        for (place, (query, legend)) in panel.queries.iter().enumerate() {
            let letter = u8::try_from(place).unwrap_or(0) % 26;
            targets.push(json!({
                "datasource": datasource(),
                "refId": format!("{}{}", char::from(b'A' + letter), if place < 26 { "" } else { "2" }),
                "expr": expand(query)?,
                "legendFormat": legend,
                "instant": is_instant,
                "range": !is_instant,
                "format": if panel.kind == "table" { "table" } else { "time_series" },
            }));
        }
        let mut value = json!({
            "id": self.panels.len() + 1,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.description,
            "datasource": datasource(),
            "gridPos": self.place(panel.size),
            "targets": targets,
            "fieldConfig": {
                "defaults": { "unit": panel.unit, "min": 0 },
                "overrides": [],
            },
            "options": options(panel.kind),
        });
        if panel.kind == "table"
            && let Some(members) = value.as_object_mut()
        {
            members.insert("transformations".to_owned(), table_of(panel.queries));
            members.insert("fieldConfig".to_owned(), bars_in_table());
        }
        self.panels.push(value);
        Ok(())
    }

    /// The dashboard, with variables for the data source and these labels of series.
    pub(crate) fn finish(
        self,
        uid: &str,
        title: &str,
        variables: &[(&str, &str)],
    ) -> Result<Value, UnknownFamily> {
        let mut list = vec![json!({
            "name": "datasource",
            "type": "datasource",
            "label": "Data source",
            "query": "prometheus",
        })];
        for (name, query) in variables {
            let query = expand(query)?;
            list.push(json!({
                "name": name,
                "type": "query",
                "datasource": datasource(),
                "query": { "query": query, "refId": name },
                "multi": true,
                "includeAll": true,
                "allValue": ".*",
                "refresh": 2,
                "sort": 1,
            }));
        }
        Ok(json!({
            "uid": uid,
            "title": title,
            "tags": ["callmeter"],
            "editable": true,
            "schemaVersion": 39,
            "refresh": "1m",
            "time": { "from": "now-24h", "to": "now" },
            "timezone": "browser",
            "templating": { "list": list },
            "panels": self.panels,
        }))
    }
}

fn options(kind: &str) -> Value {
    match kind {
        "stat" => json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
        }),
        "bargauge" => json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": true,
        }),
        "heatmap" => json!({
            "calculate": false,
            "yAxis": { "axisPlacement": "left", "unit": "short" },
            "color": { "mode": "scheme", "scheme": "Blues", "steps": 32 },
            "cellGap": 1,
        }),
        "table" => json!({ "showHeader": true, "cellHeight": "sm" }),
        _ => json!({
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
    }
}

/// One row for each label set, with a column for each query.
fn table_of(queries: &[(&str, &str)]) -> Value {
    let mut names = serde_json::Map::new();
    for (place, (_, legend)) in queries.iter().enumerate() {
        let letter = char::from(b'A' + u8::try_from(place).unwrap_or(0));
        names.insert(format!("Value #{letter}"), json!(legend));
    }
    json!([
        { "id": "merge", "options": {} },
        {
            "id": "organize",
            "options": { "excludeByName": { "Time": true }, "renameByName": names },
        },
    ])
}

/// Shares are bars, with a limit at 80 and 100 %.
fn bars_in_table() -> Value {
    let steps = json!([
        { "color": "green", "value": null },
        { "color": "orange", "value": 0.8 },
        { "color": "red", "value": 1 },
    ]);
    let bar = |column: &str| {
        json!({
            "matcher": { "id": "byName", "options": column },
            "properties": [
                { "id": "unit", "value": "percentunit" },
                { "id": "min", "value": 0 },
                { "id": "max", "value": 1.2 },
                { "id": "thresholds", "value": { "mode": "absolute", "steps": steps } },
                { "id": "custom.cellOptions", "value": { "type": "gauge", "mode": "basic" } },
            ],
        })
    };
    json!({
        "defaults": { "unit": "short" },
        "overrides": [bar("used"), bar("forecast"), bar("elapsed")],
    })
}
