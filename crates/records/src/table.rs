//! Makes the record, fingerprint, schema, builder and view of a stream from its table.

/// The name of a column: its field's name unless the table gives another.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $column:literal) => {
        $column
    };
}
pub(crate) use name;

/// Makes a stream from its table (see `callmeter-record-tables`).
///
/// `order` is the order in which the fingerprint takes the values: `by_column` as in the table,
/// `by_kind` texts first, then other scalars, then lists. `last` is a column after those of the
/// table whose values are not the record's.
macro_rules! stream {
    (
        stream: $stream:ident;
        $(#[$record_doc:meta])* record: $record:ident;
        builder: $builder:ident; view: $view:ident; row: $row:ident; order: $order:ident;
        $(last: $last:ident, $last_builder:ident, $last_view:ident;)?
        table:
        $($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*
    ) => {
        $(#[$record_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $record<'a> {
            $(#[doc = $doc] pub $name: kind!(@field $kind),)*
        }

        impl $record<'_> {
            /// A hash of everything that is stored of the record. With the same fingerprint the
            /// record has not changed.
            pub fn fingerprint(&self, hasher: &mut FieldHasher) -> u64 {
                let mut json = std::mem::take(&mut hasher.json);
                let unreadable = self.unreadable(&mut json);
                hasher.start();
                $(pass!($order texts $kind { kind!(@feed $kind, hasher, kind!(@known $kind, self.$name)); });)*
                hasher.text(unreadable);
                $(pass!($order scalars $kind { kind!(@feed $kind, hasher, kind!(@known $kind, self.$name)); });)*
                $(pass!($order lists $kind { kind!(@feed $kind, hasher, kind!(@known $kind, self.$name)); });)*
                hasher.json = json;
                hasher.finish()
            }

            fn unreadable<'b>(&self, buffer: &'b mut String) -> Option<&'b str> {
                let mut json = UnreadableJson::new(buffer);
                $(pass!(by_kind scalars $kind { kind!(@note $kind, json, $member, self.$name); });)*
                $(pass!(by_kind lists $kind { kind!(@note $kind, json, $member, self.$name); });)*
                json.finish()
            }
        }

        #[doc = concat!("The schema of the stream [`", stringify!($stream), "`](Stream::", stringify!($stream), ").")]
        pub fn schema() -> SchemaRef {
            static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
                schema_of(Stream::$stream, vec![
                    $(Field::new(name!($name $(as $column)?), kind!(@type $kind), true),)*
                    Field::new(columns::UNREADABLE, DataType::Utf8, true),
                    $(Field::new(stringify!($last), $last_builder::data_type(), true),)?
                ])
            });
            Arc::clone(&SCHEMA)
        }

        #[doc = concat!("Builds a batch of [`", stringify!($record), "`] records.")]
        #[derive(Debug, Default)]
        pub struct $builder {
            common: CommonBuilder,
            $($name: kind!(@builder $kind),)*
            unreadable: StringBuilder,
            $($last: $last_builder,)?
            json: String,
        }

        impl $builder {
            /// An empty builder.
            pub fn new() -> Self {
                Self::default()
            }

            /// A builder with room for `rows` records of a usual size; it grows as needed.
            pub fn with_capacity(rows: usize) -> Self {
                Self {
                    common: CommonBuilder::with_capacity(rows),
                    $($name: kind!(@with_capacity $kind, rows),)*
                    ..Self::default()
                }
            }

            /// Rows so far.
            pub fn len(&self) -> usize {
                self.common.len()
            }

            /// Whether there are no rows yet.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            fn append_record(&mut self, mark: RowMark, record: &$record<'_>) {
                self.common.append(mark);
                $(kind!(@append $kind, self.$name, record.$name);)*
                self.unreadable.append_option(record.unreadable(&mut self.json));
            }

            /// Returns the batch and empties the builder. Fails only if a text column grows beyond
            /// 2 GiB.
            pub fn finish(&mut self, head: &BatchHead<'_>) -> Result<RecordBatch, ArrowError> {
                let mut columns = self.common.finish(head);
                $(columns.push(Arc::new(kind!(@finish $kind, self.$name)));)*
                columns.push(Arc::new(self.unreadable.finish()));
                $(columns.push(self.$last.finish()?);)?
                RecordBatch::try_new(schema(), columns)
            }
        }

        #[doc = concat!("A batch of [`", stringify!($record), "`] records, row by row.")]
        #[derive(Clone, Debug)]
        pub struct $view<'a> {
            common: CommonView<'a>,
            $($name: kind!(@column $kind),)*
            unreadable: &'a StringArray,
            $($last: $last_view<'a>,)?
        }

        impl<'a> $view<'a> {
            /// A view of `batch`, which must have the columns of the stream's schema.
            pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
                let find = Columns::new(batch);
                Ok(Self {
                    common: CommonView::new(batch)?,
                    $($name: kind!(@find $kind, find, name!($name $(as $column)?)),)*
                    unreadable: find.get(columns::UNREADABLE)?,
                    $($last: $last_view::new(&find, stringify!($last))?,)?
                })
            }

            /// The number of rows.
            pub fn len(&self) -> usize {
                self.common.rows()
            }

            /// Whether there are no rows.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The row with this index, if there is one.
            pub fn row(&self, row: usize) -> Option<$row<'_, 'a>> {
                (row < self.len()).then_some($row { view: self, row })
            }

            /// All rows.
            pub fn rows(&self) -> impl ExactSizeIterator<Item = $row<'_, 'a>> {
                (0..self.len()).map(|row| $row { view: self, row })
            }
        }

        #[doc = concat!("One row of a [`", stringify!($view), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $row<'v, 'a> {
            view: &'v $view<'a>,
            row: usize,
        }

        impl<'a> $row<'_, 'a> {
            /// The account that the record belongs to.
            #[inline]
            pub fn account(&self) -> &'a str {
                self.view.common.account(self.row)
            }

            /// The row's place in its stream.
            #[inline]
            pub fn sequence(&self) -> i64 {
                self.view.common.sequence(self.row)
            }

            /// The record's revision.
            #[inline]
            pub fn revision(&self) -> i32 {
                self.view.common.revision(self.row)
            }

            /// What happened to the record.
            #[inline]
            pub fn change(&self) -> Option<Change> {
                self.view.common.change(self.row)
            }

            /// When the record was read: UTC, microseconds.
            #[inline]
            pub fn observed_at(&self) -> i64 {
                self.view.common.observed_at(self.row)
            }

            $(#[doc = $doc] #[inline] pub fn $name(&self) -> kind!(@got $kind) {
                kind!(@get $kind, self.view.$name, self.row)
            })*

            /// JSON object of the members that could not be read.
            pub fn unreadable(&self) -> Option<&'a str> {
                column_lookup::text(self.view.unreadable, self.row)
            }

            /// The fingerprint of the record that this row was made from.
            pub fn fingerprint(&self, hasher: &mut FieldHasher) -> u64 {
                hasher.start();
                $(pass!($order texts $kind { kind!(@feed $kind, hasher, self.$name()); });)*
                hasher.text(self.unreadable());
                $(pass!($order scalars $kind { kind!(@feed $kind, hasher, self.$name()); });)*
                $(pass!($order lists $kind { kind!(@feed $kind, hasher, self.$name()); });)*
                hasher.finish()
            }
        }
    };
}
pub(crate) use stream;

/// What a stream without revisions of its own needs besides [`stream!`]: appending, and the record
/// of a row.
macro_rules! flat {
    (
        $record:ident $builder:ident $row:ident
        $($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*
    ) => {
        impl $builder {
            /// Adds a record.
            pub fn append(&mut self, mark: RowMark, record: &$record<'_>) {
                self.append_record(mark, record);
            }
        }

        impl<'a> $row<'_, 'a> {
            /// The record that this row was made from, except for the texts that could not be read.
            pub fn to_record(&self) -> $record<'a> {
                $record { $($name: self.$name().into(),)* }
            }
        }
    };
}
pub(crate) use flat;

/// Expands to the statements of a field only in the pass of its kind.
macro_rules! pass {
    (by_column texts $kind:ident { $($statement:tt)* }) => { $($statement)* };
    (by_kind texts text { $($statement:tt)* }) => { $($statement)* };
    (by_kind texts id { $($statement:tt)* }) => { $($statement)* };
    (by_kind lists texts { $($statement:tt)* }) => { $($statement)* };
    (by_kind lists interactions { $($statement:tt)* }) => { $($statement)* };
    (by_kind scalars text { $($statement:tt)* }) => {};
    (by_kind scalars id { $($statement:tt)* }) => {};
    (by_kind scalars texts { $($statement:tt)* }) => {};
    (by_kind scalars interactions { $($statement:tt)* }) => {};
    (by_kind scalars $kind:ident { $($statement:tt)* }) => { $($statement)* };
    ($order:ident $pass:ident $kind:ident { $($statement:tt)* }) => {};
}
pub(crate) use pass;

/// The code for a kind of column in each place.
macro_rules! kind {
    (@field text) => { Option<&'a str> };
    (@field id) => { Option<&'a str> };
    (@field texts) => { Option<&'a [&'a str]> };
    (@field interactions) => { Option<&'a [Interaction<'a>]> };
    (@field $kind:ident) => { Reading<'a, kind!(@value $kind)> };
    (@value time) => { i64 };
    (@value millis) => { i64 };
    (@value int) => { i32 };
    (@value long) => { i64 };
    (@value decimal) => { i128 };
    (@value truth) => { bool };
    (@known text, $value:expr) => { $value };
    (@known id, $value:expr) => { $value.filter(|id| !id.is_empty()) };
    (@known texts, $value:expr) => { $value.map(|list| list.iter().copied()) };
    (@known interactions, $value:expr) => { $value.map(|list| list.iter().copied()) };
    (@known $kind:ident, $value:expr) => { $value.known() };
    (@note texts, $json:ident, $member:literal, $value:expr) => {};
    (@note interactions, $json:ident, $member:literal, $value:expr) => {
        interactions::note(&mut $json, $member, $value)
    };
    (@note $kind:ident, $json:ident, $member:literal, $value:expr) => { $json.note($member, $value) };
    (@feed text, $hasher:ident, $value:expr) => { $hasher.text($value) };
    (@feed id, $hasher:ident, $value:expr) => { $hasher.id($value) };
    (@feed decimal, $hasher:ident, $value:expr) => { $hasher.decimal($value) };
    (@feed texts, $hasher:ident, $value:expr) => { crate::lists::feed_texts($hasher, $value) };
    (@feed interactions, $hasher:ident, $value:expr) => { interactions::feed($hasher, $value) };
    (@feed $kind:ident, $hasher:ident, $value:expr) => { $hasher.integer($value.map(i64::from)) };
    (@type text) => { arrow_schema::DataType::Utf8 };
    (@type id) => { arrow_schema::DataType::Utf8 };
    (@type time) => { crate::common::timestamp_type() };
    (@type millis) => { arrow_schema::DataType::Int64 };
    (@type int) => { arrow_schema::DataType::Int32 };
    (@type long) => { arrow_schema::DataType::Int64 };
    (@type decimal) => { crate::common::decimal_type() };
    (@type truth) => { arrow_schema::DataType::Boolean };
    (@type texts) => { arrow_schema::DataType::List(crate::lists::text_item()) };
    (@type interactions) => { arrow_schema::DataType::List(interactions::item()) };
    (@builder text) => { arrow_array::builder::StringBuilder };
    (@builder id) => { arrow_array::builder::StringBuilder };
    (@builder time) => { arrow_array::builder::TimestampMicrosecondBuilder };
    (@builder millis) => { arrow_array::builder::Int64Builder };
    (@builder int) => { arrow_array::builder::Int32Builder };
    (@builder long) => { arrow_array::builder::Int64Builder };
    (@builder decimal) => { arrow_array::builder::Decimal128Builder };
    (@builder truth) => { arrow_array::builder::BooleanBuilder };
    (@builder texts) => { crate::lists::TextListsBuilder };
    (@builder interactions) => { interactions::InteractionsBuilder };
    (@with_capacity text, $rows:expr) => { arrow_array::builder::StringBuilder::with_capacity($rows, $rows * 16) };
    (@with_capacity id, $rows:expr) => { arrow_array::builder::StringBuilder::with_capacity($rows, $rows * 24) };
    (@with_capacity $kind:ident, $rows:expr) => { <kind!(@builder $kind)>::with_capacity($rows) };
    (@append texts, $builder:expr, $value:expr) => { $builder.append($value) };
    (@append interactions, $builder:expr, $value:expr) => { $builder.append($value) };
    (@append $kind:ident, $builder:expr, $value:expr) => { $builder.append_option(kind!(@known $kind, $value)) };
    (@finish time, $builder:expr) => { $builder.finish().with_timezone(crate::common::UTC) };
    (@finish decimal, $builder:expr) => {
        $builder.finish().with_precision_and_scale(crate::money::PRECISION, crate::money::SCALE)?
    };
    (@finish texts, $builder:expr) => { $builder.finish()? };
    (@finish interactions, $builder:expr) => { $builder.finish()? };
    (@finish $kind:ident, $builder:expr) => { $builder.finish() };
    (@column text) => { &'a arrow_array::StringArray };
    (@column id) => { &'a arrow_array::StringArray };
    (@column time) => { &'a arrow_array::TimestampMicrosecondArray };
    (@column millis) => { &'a arrow_array::Int64Array };
    (@column int) => { &'a arrow_array::Int32Array };
    (@column long) => { &'a arrow_array::Int64Array };
    (@column decimal) => { &'a arrow_array::Decimal128Array };
    (@column truth) => { &'a arrow_array::BooleanArray };
    (@column texts) => { crate::lists::TextLists<'a> };
    (@column interactions) => { interactions::InteractionsView<'a> };
    (@find texts, $find:ident, $column:expr) => { crate::lists::TextLists::new(&$find, $column)? };
    (@find interactions, $find:ident, $column:expr) => {
        interactions::InteractionsView::new(&$find, $column)?
    };
    (@find $kind:ident, $find:ident, $column:expr) => { $find.get($column)? };
    (@got text) => { Option<&'a str> };
    (@got id) => { Option<&'a str> };
    (@got texts) => { Option<impl ExactSizeIterator<Item = &'a str> + use<'a>> };
    (@got interactions) => { Option<impl ExactSizeIterator<Item = Interaction<'a>> + use<'a>> };
    (@got $kind:ident) => { Option<kind!(@value $kind)> };
    (@get text, $column:expr, $row:expr) => { crate::column_lookup::text($column, $row) };
    (@get id, $column:expr, $row:expr) => { crate::column_lookup::text($column, $row) };
    (@get truth, $column:expr, $row:expr) => { crate::column_lookup::truth($column, $row) };
    (@get texts, $column:expr, $row:expr) => { $column.row($row) };
    (@get interactions, $column:expr, $row:expr) => { $column.row($row) };
    (@get $kind:ident, $column:expr, $row:expr) => { crate::column_lookup::value($column, $row) };
}
pub(crate) use kind;
