//! Reads the cells of a result's vectors.

use std::ffi::c_void;

use common::table::Datum;

use super::ffi;
use super::library::Library;
use super::print;
use super::value_type::{Storage, ValueType};

/// A column of one chunk, or a child of one. Borrows the chunk: must not outlive it.
pub(super) struct Vector<'a> {
    library: &'a Library,
    value_type: &'a ValueType,
    raw: ffi::Vector,
    data: *const u8,
    validity: *const u64,
}

impl<'a> Vector<'a> {
    /// # Safety
    /// `raw` must be a live vector of `value_type` that outlives the value made here.
    pub(super) unsafe fn new(library: &'a Library, value_type: &'a ValueType, raw: ffi::Vector) -> Self {
        // SAFETY: `raw` is live, as the caller vouches.
        let (data, validity) = unsafe {
            (
                (library.symbols.duckdb_vector_get_data)(raw).cast::<u8>().cast_const(),
                (library.symbols.duckdb_vector_get_validity)(raw).cast_const(),
            )
        };
        Self { library, value_type, raw, data, validity }
    }

    fn is_null(&self, row: usize) -> bool {
        // SAFETY: a validity mask, where there is one, has a bit for each row of the vector.
        !self.validity.is_null() && unsafe { *self.validity.add(row / 64) } >> (row % 64) & 1 == 0
    }

    /// # Safety
    /// `T` must be the vector's physical type and `row` within it.
    unsafe fn read<T: Copy>(&self, row: usize) -> T {
        // SAFETY: as the caller vouches; the library aligns what it allocates, and an unaligned read asks for nothing.
        unsafe { self.data.cast::<T>().add(row).read_unaligned() }
    }

    fn bytes(&self, row: usize) -> &[u8] {
        const INLINED: usize = 12;
        // SAFETY: a `duckdb_string_t` of 16 bytes: a length, then the bytes if they are at most 12, else a prefix of 4 and a
        // pointer to all of them, which lives as long as the chunk.
        unsafe {
            let entry = self.data.add(row * 16);
            let length = entry.cast::<u32>().read_unaligned() as usize;
            let start =
                if length <= INLINED { entry.add(4) } else { entry.add(8).cast::<*const u8>().read_unaligned() };
            std::slice::from_raw_parts(start, length)
        }
    }

    fn text(&self, row: usize) -> String {
        String::from_utf8_lossy(self.bytes(row)).into_owned()
    }

    fn integer(&self, row: usize, storage: Storage) -> i128 {
        // SAFETY: `storage` is what the type says of its physical type.
        unsafe {
            match storage {
                Storage::One => i128::from(self.read::<i8>(row)),
                Storage::Two => i128::from(self.read::<i16>(row)),
                Storage::Four => i128::from(self.read::<i32>(row)),
                Storage::Eight => i128::from(self.read::<i64>(row)),
                Storage::Sixteen => self.read::<i128>(row),
            }
        }
    }

    /// The cell, or `None` where its type cannot be decoded.
    pub(super) fn datum(&self, row: usize) -> Option<Datum> {
        if self.is_null(row) {
            return Some(Datum::Null);
        }
        // SAFETY: in each arm the physical type is the one that `duckdb.h` gives for the logical type, and callers pass rows of
        // the chunk only.
        let datum = unsafe {
            match self.value_type {
                ValueType::Null => Datum::Null,
                ValueType::Boolean => Datum::Bool(self.read::<u8>(row) != 0),
                ValueType::TinyInt => Datum::Int(self.read::<i8>(row).into()),
                ValueType::SmallInt => Datum::Int(self.read::<i16>(row).into()),
                ValueType::Integer => Datum::Int(self.read::<i32>(row).into()),
                ValueType::BigInt => Datum::Int(self.read::<i64>(row)),
                ValueType::UTinyInt => Datum::Int(self.read::<u8>(row).into()),
                ValueType::USmallInt => Datum::Int(self.read::<u16>(row).into()),
                ValueType::UInteger => Datum::Int(self.read::<u32>(row).into()),
                ValueType::UBigInt => {
                    let value = self.read::<u64>(row);
                    i64::try_from(value).map_or_else(|_| Datum::Decimal(value.to_string()), Datum::Int)
                }
                ValueType::HugeInt => {
                    let value = self.read::<i128>(row);
                    i64::try_from(value).map_or_else(|_| Datum::Decimal(value.to_string()), Datum::Int)
                }
                ValueType::UHugeInt => {
                    let value = self.read::<u128>(row);
                    i64::try_from(value).map_or_else(|_| Datum::Decimal(value.to_string()), Datum::Int)
                }
                ValueType::Float => Datum::Float(self.read::<f32>(row).into()),
                ValueType::Double => Datum::Float(self.read::<f64>(row)),
                ValueType::Decimal { scale, storage, .. } => {
                    Datum::Decimal(print::decimal(self.integer(row, *storage), *scale))
                }
                ValueType::Date => Datum::Date(print::date(self.read::<i32>(row).into())),
                ValueType::Time => Datum::Time(print::time(self.read::<i64>(row))),
                ValueType::TimeNs => Datum::Time(print::time(self.read::<i64>(row) / 1_000)),
                ValueType::TimeTz => Datum::Time(print::time_tz(self.read::<u64>(row))),
                ValueType::Timestamp => Datum::Timestamp(print::timestamp(self.read::<i64>(row), 1)),
                ValueType::TimestampS => Datum::Timestamp(print::timestamp(self.read::<i64>(row), 1_000_000)),
                ValueType::TimestampMs => Datum::Timestamp(print::timestamp(self.read::<i64>(row), 1_000)),
                ValueType::TimestampNs => Datum::Timestamp(print::timestamp_ns(self.read::<i64>(row))),
                ValueType::TimestampTz => Datum::Timestamp(print::timestamp_tz(self.read::<i64>(row))),
                ValueType::Varchar => Datum::Text(self.text(row)),
                ValueType::Alias(_) => Datum::Text(self.text(row)),
                ValueType::Enum { labels, storage } => {
                    Datum::Text(labels.get(self.label(row, *storage)).cloned().unwrap_or_default())
                }
                ValueType::Blob => Datum::Bytes(self.bytes(row).to_vec()),
                ValueType::Unknown(_) => return None,
                _ => Datum::Other(self.printed(row)?),
            }
        };
        Some(datum)
    }

    fn label(&self, row: usize, storage: Storage) -> usize {
        // SAFETY: enums are stored as unsigned integers of the size the type says.
        unsafe {
            match storage {
                Storage::One => usize::from(self.read::<u8>(row)),
                Storage::Two => usize::from(self.read::<u16>(row)),
                _ => self.read::<u32>(row) as usize,
            }
        }
    }

    /// The cell as `::varchar` prints it; `None` where its type cannot be decoded.
    fn printed(&self, row: usize) -> Option<String> {
        if self.is_null(row) {
            return Some("NULL".to_owned());
        }
        // SAFETY: physical types as in `datum`; children are vectors of the child type and live as long as this one.
        unsafe {
            Some(match self.value_type {
                ValueType::Interval => print::interval(self.read::<ffi::Interval>(row)),
                ValueType::Uuid => print::uuid(self.read::<u128>(row)),
                ValueType::Bit => print::bit(self.bytes(row)),
                ValueType::Float => print::float(self.read::<f32>(row)),
                ValueType::Double => print::double(self.read::<f64>(row)),
                ValueType::List(child) => {
                    let entry = self.read::<ffi::ListEntry>(row);
                    let raw = (self.library.symbols.duckdb_list_vector_get_child)(self.raw);
                    let child = Vector::new(self.library, child, raw);
                    format!("[{}]", child.elements(entry.offset as usize, entry.length as usize)?)
                }
                ValueType::Array(child, size) => {
                    let raw = (self.library.symbols.duckdb_array_vector_get_child)(self.raw);
                    let child = Vector::new(self.library, child, raw);
                    format!("[{}]", child.elements(row * *size as usize, *size as usize)?)
                }
                ValueType::Map(key, value) => {
                    let entry = self.read::<ffi::ListEntry>(row);
                    let pairs = (self.library.symbols.duckdb_list_vector_get_child)(self.raw);
                    let keys = Vector::new(self.library, key, self.struct_child(pairs, 0));
                    let values = Vector::new(self.library, value, self.struct_child(pairs, 1));
                    let range = entry.offset as usize..(entry.offset + entry.length) as usize;
                    let printed: Option<Vec<String>> =
                        range.map(|i| Some(format!("{}={}", keys.element(i)?, values.element(i)?))).collect();
                    format!("{{{}}}", printed?.join(", "))
                }
                ValueType::Struct(members) => {
                    let mut printed = Vec::with_capacity(members.len());
                    for (i, (name, member)) in members.iter().enumerate() {
                        let child = Vector::new(self.library, member, self.struct_child(self.raw, i as u64));
                        let value = child.element(row)?;
                        // A tuple's members have no names.
                        printed.push(if name.is_empty() {
                            value
                        } else {
                            format!("{}: {value}", print::field_name(name))
                        });
                    }
                    let unnamed = members.first().is_some_and(|(name, _)| name.is_empty());
                    let (open, close) = if unnamed { ('(', ')') } else { ('{', '}') };
                    format!("{open}{}{close}", printed.join(", "))
                }
                ValueType::Union(members) => {
                    let tag = *(self.library.symbols.duckdb_vector_get_data)(self.struct_child(self.raw, 0))
                        .cast::<u8>()
                        .add(row);
                    let (_, member) = members.get(usize::from(tag))?;
                    Vector::new(self.library, member, self.struct_child(self.raw, u64::from(tag) + 1)).printed(row)?
                }
                _ => match self.datum(row)? {
                    Datum::Null => "NULL".to_owned(),
                    Datum::Bool(value) => value.to_string(),
                    Datum::Int(value) => value.to_string(),
                    Datum::Float(value) => print::double(value),
                    Datum::Bytes(bytes) => print::blob(&bytes),
                    Datum::Decimal(text) | Datum::Text(text) | Datum::Date(text) | Datum::Time(text) => text,
                    Datum::Timestamp(text) | Datum::Other(text) => text,
                },
            })
        }
    }

    /// # Safety
    /// `vector` must be a live struct vector with a child at `index`.
    unsafe fn struct_child(&self, vector: *mut c_void, index: u64) -> ffi::Vector {
        // SAFETY: as the caller vouches.
        unsafe { (self.library.symbols.duckdb_struct_vector_get_child)(vector, index) }
    }

    fn elements(&self, start: usize, length: usize) -> Option<String> {
        let printed: Option<Vec<String>> = (start..start + length).map(|row| self.element(row)).collect();
        Some(printed?.join(", "))
    }

    /// The cell as it looks inside a list, struct or map: quoted where it could be mistaken for something else.
    fn element(&self, row: usize) -> Option<String> {
        let text = self.printed(row)?;
        let nested = matches!(
            self.value_type,
            ValueType::List(_) | ValueType::Array(..) | ValueType::Map(..) | ValueType::Struct(_) | ValueType::Union(_)
        );
        Some(if nested || self.is_null(row) { text } else { print::quoted_if_needed(text) })
    }
}
